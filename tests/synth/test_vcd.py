"""Toggles and duty from VCD text, against a counter that goes line by line."""

import io

import numpy as np
import pytest

from mlsmac.synth.simulation import vcd
from mlsmac.synth.simulation.vcd import VcdError, activity


def _identifier(number):
    """Identifiers as Icarus numbers them: !, ", ..., ~, then two characters."""
    text = ""
    number += 1
    while number:
        number, digit = divmod(number - 1, 94)
        text += chr(33 + digit)
    return text


def _header(nets):
    variables = "".join(f"$var wire 1 {_identifier(i)} n{i} $end\n" for i in range(nets))
    return f"$timescale 1ps $end\n$scope module unit $end\n{variables}$enddefinitions $end\n"


def _dump(text):
    return io.BytesIO(text.encode())


SMALL = _header(2) + '#0\n$dumpvars\nx"\n0!\n$end\n#5\n1!\n0"\n#10\n0!\n1"\n#30\n1!\n#40\n0"\n'


def test_by_hand():
    """n0 is 1 in 5..10 and from 30 on; n1 in 10..40 and X before 5."""
    counted = activity(_dump(SMALL), 10, 40)
    assert counted.names == ["n0", "n1"]
    assert counted.toggles.tolist() == [2, 1]  # the change at the end belongs to the next window
    assert counted.duty.tolist() == [10 / 30, 1.0]
    assert counted.unknown.tolist() == [False, False]
    assert activity(_dump(SMALL), 0, 40).unknown.tolist() == [False, True]


def test_a_value_written_again_is_no_toggle():
    text = _header(1) + "#0\n0!\n#1\n0!\n#2\n1!\n#3\n1!\n#4\n0!\n#9\n"
    counted = activity(_dump(text), 0, 8)
    assert counted.toggles.tolist() == [2]
    assert counted.duty.tolist() == [0.25]


def test_unknown_in_the_window():
    text = _header(2) + '#0\n0!\n1"\n#4\nx!\n#5\n1!\n#9\nz"\n#20\n'
    assert activity(_dump(text), 0, 8).unknown.tolist() == [True, False]
    assert activity(_dump(text), 0, 8).toggles.tolist() == [0, 0]  # by way of X is no toggle
    assert activity(_dump(text), 6, 12).unknown.tolist() == [False, True]


@pytest.mark.parametrize("chunk", [100, 1 << 20])
def test_random_dump(monkeypatch, chunk):
    monkeypatch.setattr(vcd, "CHUNK_BYTES", chunk)
    nets, start, end = 9000, 500, 4000  # identifiers of one, two and three characters
    rng = np.random.default_rng(5)
    lines = ["#0", "$dumpvars", *(f"0{_identifier(i)}" for i in range(nets)), "$end"]
    value, toggles, high = np.zeros((3, nets), dtype=np.int64)
    time = 0
    while time < end:
        later = time + int(rng.integers(1, 40))
        high += value * max(0, min(later, end) - max(time, start))
        time = later
        lines.append(f"#{time}")
        for net, bit in zip(rng.integers(0, nets, 50), rng.integers(0, 2, 50), strict=True):
            lines.append(f"{bit}{_identifier(net)}")
            toggles[net] += (bit != value[net]) and start <= time < end
            value[net] = bit
    text = _header(nets) + "\n".join(lines) + "\n"
    counted = activity(_dump(text), start, end)
    assert toggles.sum() > 1000
    np.testing.assert_array_equal(counted.toggles, toggles)
    np.testing.assert_allclose(counted.duty, high / (end - start))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must contain \\$enddefinitions"),
        (_header(0), "must contain nets"),
        (_header(1).replace("wire 1", "reg 8"), "net n0 must have one bit, not 8"),
        (_header(1) + "#0\n0!\n#7\n", "must reach time 10, not 7"),
        (_header(1) + '#0\n0!\n1"\n#20\n', "must be of a declared scalar net"),
        (_header(2) + "#0\nb01 !\n#20\n", "must be of a declared scalar net"),
    ],
)
def test_errors(text, message):
    with pytest.raises(VcdError, match=message):
        activity(_dump(text), 0, 10)
