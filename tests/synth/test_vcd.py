"""Changes from VCD text, against a reader that goes line by line."""

import io

import numpy as np
import pytest

from mlsmac.synth.simulation import vcd
from mlsmac.synth.simulation.vcd import UNKNOWN, VcdError, read


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


def _read(text, end):
    """Names, changes as (net, time, value), and how many in each part."""
    names, parts = read(_dump(text), end)
    rows, sizes = [], []
    for part in parts:
        rows += zip(*(column.tolist() for column in part), strict=True)
        sizes.append(len(part.net))
    return names, rows, sizes


def test_by_hand():
    """A value written again is a change like any other."""
    names, rows, _ = _read(SMALL, 40)
    assert names == ["n0", "n1"]
    assert rows == [
        (1, 0, UNKNOWN),
        (0, 0, 0),
        (0, 5, 1),
        (1, 5, 0),
        (0, 10, 0),
        (1, 10, 1),
        (0, 30, 1),
        (1, 40, 0),
    ]
    again = _header(1) + "#0\n0!\n#1\n0!\n#2\n1!\n#3\n1!\n#9\n"
    assert _read(again, 8)[1] == [(0, 0, 0), (0, 1, 0), (0, 2, 1), (0, 3, 1)]


def test_x_and_z():
    text = _header(2) + '#0\n0!\n1"\n#4\nx!\n#5\n1!\nX"\n#9\nz"\nZ!\n#20\n'
    _, rows, _ = _read(text, 8)
    assert [row for row in rows if row[2] == UNKNOWN] == [
        (0, 4, UNKNOWN),
        (1, 5, UNKNOWN),
        (1, 9, UNKNOWN),
        (0, 9, UNKNOWN),
    ]


@pytest.mark.parametrize("chunk", [100, 3000, 1 << 20])
def test_random_dump(monkeypatch, chunk):
    monkeypatch.setattr(vcd, "CHUNK_BYTES", chunk)
    nets, end = 9000, 4000  # identifiers of one, two and three characters
    rng = np.random.default_rng(5)
    lines = ["#0", "$dumpvars", *(f"0{_identifier(i)}" for i in range(nets)), "$end"]
    expected = [(net, 0, 0) for net in range(nets)]
    time = 0
    while time < end:
        time += int(rng.integers(1, 40))
        lines.append(f"#{time}")
        for net, bit in zip(rng.integers(0, nets, 50), rng.integers(0, 2, 50), strict=True):
            lines.append(f"{bit}{_identifier(net)}")
            expected.append((int(net), time, int(bit)))
    names, rows, sizes = _read(_header(nets) + "\n".join(lines) + "\n", end)
    assert names == [f"n{i}" for i in range(nets)]
    assert rows == expected
    # Parts are of whole times.
    ends = np.cumsum(sizes)[:-1]
    assert len(sizes) == 1 or all(rows[i - 1][1] < rows[i][1] for i in ends if 0 < i < len(rows))
    assert (len(sizes) > 10) == (chunk < 10_000)


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
        _read(text, 10)
