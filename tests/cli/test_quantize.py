"""`mlsmac quantize`, `mlsmac quality`: files, figures, one-line refusals, nothing half-written."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mlsmac.cli import quality
from mlsmac.cli.main import app
from mlsmac.data import load
from mlsmac.golden import (
    BLOCK_PRESETS,
    SCALE_E8M1,
    ElementFormat,
    ScaleFormat,
    quantize,
    quantize_blocks,
    random_words,
)
from mlsmac.study.quality_report import make_quality_report, quality_tables
from mlsmac.study.records import to_json
from mlsmac.support.errors import UserError


def invoke(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((5, 3, 4, 4)) * 2.0 ** rng.integers(-9, 1, (5, 3, 4, 4))
    x[2] = 0
    np.save(tmp_path / "in.npy", x.astype(np.float32))
    return tmp_path / "in.npy"


def decoded(file) -> np.ndarray:
    """As docs/quality.md tells how to."""
    form = json.loads(str(file["metadata"]))
    exp_bits, man_bits = form["element"]["exp_bits"], form["element"]["man_bits"]
    scale_bits = form["scale"]["man_bits"]
    code, scale = file["codes"].astype(int), file["scale_codes"].astype(int)
    exp, man = code >> man_bits & (1 << exp_bits) - 1, code & (1 << man_bits) - 1
    q = np.where(exp == 0, man, man + (1 << man_bits) << np.maximum(exp - 1, 0))
    scales = (1 + (scale & (1 << scale_bits) - 1) / (1 << scale_bits)) * 2.0 ** -(
        scale >> scale_bits
    )
    unit = 2.0 ** -(man_bits + 2**exp_bits - 1) * float(file["tensor_scale"])
    return np.where(code >> exp_bits + man_bits, -1.0, 1.0) * q * unit * scales


@pytest.mark.parametrize(
    ("options", "element", "scale", "how", "kinds"),
    [
        ({}, (2, 4), (8, 1), {}, ("u1", "u2")),
        (
            {"--format": "4,5", "--scale": "4,2", "--group": "c", "--carry": "carry", "--seed": 3},
            (4, 5),
            (4, 2),
            {"group": "c", "carry": "carry"},
            ("u2", "u1"),
        ),
        (
            {"--format": "mls_e2m1", "--scale": "e8m0", "--group": "none", "--random-bits": 12},
            (2, 1),
            (8, 0),
            {"group": "none", "random_bits": 12},
            ("u1", "u1"),
        ),
        (
            {"--rounding": "nearest", "--group": "n"},
            (2, 4),
            (8, 1),
            {"group": "n", "rounding": "nearest"},
            ("u1", "u2"),
        ),
    ],
)
def test_the_file_decodes_to_what_golden_makes(options, element, scale, how, kinds, source):
    out = source.parent / "out.npz"
    flags = [part for pair in options.items() for part in pair]
    done = invoke("quantize", source, "-o", out, "--dequantize", *flags)
    assert done.exit_code == 0, done.output
    x = np.load(source)
    if "rounding" not in how:
        rng = np.random.default_rng(options.get("--seed", 2026))
        how = {**how, "random": random_words(rng, x.shape, how.get("random_bits", 8))}
    expected = quantize(x, ElementFormat(*element), ScaleFormat(*scale), **how)
    with np.load(out, allow_pickle=False) as file:
        assert (file["codes"] == expected.codes()).all()
        assert (file["codes"].dtype, file["scale_codes"].dtype) == kinds
        assert file["values"].dtype == np.float64
        assert (file["values"] == expected.dequantize()).all()
        assert (decoded(file) == expected.dequantize()).all()
        assert file["tensor_scale"].dtype == np.float32
        made = json.loads(str(file["metadata"]))
    assert made["seed"] == (options.get("--seed", 2026) if "random" in how else None)
    assert sorted(path.name for path in source.parent.iterdir()) == ["in.npy", "out.npz"]


def test_figures_and_bytes_are_those_of_the_codes(source):
    first, second = source.parent / "a.npz", source.parent / "b.npz"
    row = json.loads(invoke("quantize", source, "-o", first, "--json").stdout)
    shown = invoke("quantize", source, "-o", second).stdout
    assert first.read_bytes() == second.read_bytes()
    x = np.load(source)
    with np.load(first) as file:
        assert "values" not in file
        values = decoded(file)
    some = x != 0
    error = np.abs(values - x)[some] / np.abs(x[some]).astype(np.float64)
    assert row["average_relative"] == pytest.approx(error.mean(), rel=1e-12)
    assert (row["elements"], row["groups"], row["shape"]) == (240, 15, [5, 3, 4, 4])
    assert row["zero_share"] == pytest.approx((values == 0).mean())
    assert row["input_zero_share"] == pytest.approx(48 / 240)
    assert row["bits_per_element"] == pytest.approx((240 * 7 + 15 * 9 + 32) / 240)
    assert "numpy.random.default_rng(2026)" in shown
    assert f"{100 * row['average_relative']:.3g}" in shown


BAD_OPTIONS = {
    "--format 9,9": "exp_bits must be in 0..5, not 9",
    "--format x": "--format must be exp_bits,man_bits (integers) or one of",
    "--scale 9,1": "exp_bits must be in 1..8, not 9",
    "--group q": "--group must be one of 'nc', 'n', 'c', 'none', not 'q'",
    "--rounding up": "--rounding must be one of 'stochastic', 'nearest', not 'up'",
    "--carry wrap": "--carry must be one of 'clip', 'carry', not 'wrap'",
    "--random-bits 17": "random_bits must be in 1..16, not 17",
    "--seed -1": "--seed must be in 0..2147483647, not -1",
    "-o missing/out.npz": "--output must be a file in a writable folder, not 'missing/out.npz'",
    "-o in.npy/out.npz": "--output must be a file in a writable folder, not 'in.npy/out.npz'",
    "-o .": "--output must be a file in a writable folder, not '.'",
    "-o /dev/null": "--output must be a file in a writable folder, not '/dev/null'",
    "-o out.npy": "--output must end in .npz, which it is, not 'out.npy'",
    "-o out": "--output must end in .npz, which it is, not 'out'",
    "--blocks fp4": "--blocks must be one of mxfp4, mxfp6_e2m3, ",
    "--blocks mxfp4 --scale 8,0": "--scale must be left out with --blocks, not '8,0'",
    "--blocks nvfp4 --format 2,1": "--format must be left out with --blocks, not '2,1'",
    "-o in.npy": "--output must be another file than the input, not 'in.npy'",
}


@pytest.mark.parametrize("options", BAD_OPTIONS)
def test_wrong_options_are_refused(options, source, monkeypatch):
    monkeypatch.chdir(source.parent)
    before = source.read_bytes()
    done = invoke("quantize", "in.npy", "-o", "out.npz", *options.split())
    assert isinstance(done.exception, UserError)
    assert str(done.exception).startswith(BAD_OPTIONS[options])
    assert source.read_bytes() == before
    assert list(source.parent.iterdir()) == [source]


def stored(x: np.ndarray):
    return lambda path: np.save(path, x, allow_pickle=True)


def with_value(value: float) -> np.ndarray:
    x = np.ones((2, 3), np.float32)
    x[1, 2] = value
    return x


def cut(path: Path) -> None:
    np.save(path, np.ones((4, 4), np.float32))
    path.write_bytes(path.read_bytes()[:-8])


def torn(path: Path) -> None:
    """A header whose tuple never ends, which numpy's parser answers with a TokenError."""
    np.save(path, np.ones(4, np.float32))
    path.write_bytes(path.read_bytes().replace(b"(4,)", b"(4, "))


def archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, x=np.ones(3, np.float32))


whole = "must be a whole .npy file of numbers: "
BAD_FILES = {
    "nan": (stored(with_value(np.nan)), "x must be finite, not nan at index (1, 2)"),
    "infinity": (stored(with_value(-np.inf)), "x must be finite, not -inf at index (1, 2)"),
    "double": (stored(np.ones((2, 2))), "must be float32, not float64; convert it with x.astype("),
    "swapped double": (stored(np.ones((2, 2), ">f8")), "must be float32, not float64; convert it"),
    "integers": (stored(np.ones((2, 2), np.int8)), "must be float32, not int8; convert it"),
    "empty": (stored(np.ones((0, 2), np.float32)), "x must be of at least one element, not of sh"),
    "rank": (stored(np.ones(4, np.float32)), "x must be of rank 2 or more for groups 'nc', not 1"),
    "objects": (stored(np.array([{}], dtype=object)), whole + "Object arrays cannot be loaded"),
    "cut": (cut, whole + "Failed to read all data"),
    "torn": (torn, whole),
    "archive": (archive, "must be a .npy file, as numpy.save writes it"),
    "text": (lambda path: path.write_text("1 2 3"), "must be a .npy file, as numpy.save writes it"),
    "nothing": (lambda path: path.touch(), "must be a .npy file, as numpy.save writes it"),
}


def test_bytes_in_the_other_order_are_the_same_numbers(source):
    same, swapped = source.parent / "same.npz", source.parent / "swapped.npz"
    invoke("quantize", source, "-o", same)
    np.save(source, np.load(source).astype(">f4"))
    done = invoke("quantize", source, "-o", swapped)
    assert done.exit_code == 0, done.output
    assert swapped.read_bytes() == same.read_bytes()


@pytest.mark.parametrize("rounding", [None, "stochastic"])
@pytest.mark.parametrize("name", BLOCK_PRESETS)
def test_blocks_are_those_of_golden(name, rounding, tmp_path):
    """Codes in the array's shape, a scale a block; values decoded without golden."""
    format = BLOCK_PRESETS[name]
    x = np.random.default_rng(1).normal(size=(3, 2 * format.size)).astype(np.float32)
    x[1] = 0
    np.save(tmp_path / "in.npy", x)
    flags = ["--rounding", rounding, "--seed", 5] if rounding else []
    out = tmp_path / "out.npz"
    done = invoke(
        *("quantize", tmp_path / "in.npy", "-o", out, "--blocks", name, "--dequantize", "--json"),
        *flags,
    )
    assert done.exit_code == 0, done.output
    how = {"rounding": rounding, "rng": np.random.default_rng(5)} if rounding else {}
    expected = quantize_blocks(x.reshape(3, 2, format.size), format, **how)
    with np.load(out) as file:
        assert (file["codes"] == expected.codes.reshape(x.shape)).all()
        assert (file["scale_codes"] == expected.scale_codes).all()
        assert (file["codes"].dtype, file["scale_codes"].dtype) == (np.uint8, np.uint8)
        mls = expected.to_mls().dequantize().reshape(x.shape)
        assert np.array_equal(file["values"], mls)
        made, tensor_scale = json.loads(str(file["metadata"])), file["tensor_scale"]
    assert (made["blocks"], made["seed"]) == (name, 5 if rounding else None)
    row = json.loads(done.stdout)
    assert (row["shape"], row["groups"], row["blocks"]) == ([3, 2 * format.size], 6, name)
    scale_bits = 8 / format.size + (32 / x.size if tensor_scale != 1 else 0)
    assert row["bits_per_element"] == pytest.approx(format.element.code_width + scale_bits)
    assert row["average_relative"] == pytest.approx(np.abs(mls[::2] / x[::2] - 1).mean())


def test_blocks_need_whole_ones(source):
    done = invoke("quantize", source, "-o", source.parent / "out.npz", "--blocks", "nvfp4")
    assert isinstance(done.exception, UserError)
    message = "x must have a last axis of whole blocks of 16 for --blocks nvfp4, not shape (5, 3, 4"
    assert message in str(done.exception)


@pytest.mark.parametrize(
    ("shape", "options", "lines"),
    [
        ((2, 64), [], ["each element has a scale of its own: groups nc of shape (2, 64)"]),
        ((2, 64), ["--group", "n"], []),
        ((1, 1), [], []),
        ((2, 3, 1, 1), [], ["each element has a scale of its own"]),
        (
            (2, 64),
            ["--group", "n", "--format", "MXFP4_e2m1"],
            ["--format MXFP4_e2m1 names elements alone: these are MLS groups and scales, not"],
        ),
        ((2, 64), ["--group", "c", "--format", "nvfp4_e2m1"], ["not nvfp4, which --blocks nvfp4"]),
        ((2, 64), ["--blocks", "mxfp4"], []),
    ],
)
def test_what_may_not_be_meant_is_a_line_beside_json(shape, options, lines, tmp_path):
    np.save(tmp_path / "in.npy", np.ones(shape, np.float32))
    done = invoke("quantize", tmp_path / "in.npy", "-o", tmp_path / "o.npz", "--json", *options)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["elements"] == np.prod(shape)
    assert done.stderr.count("mlsmac:") == len(lines)
    assert all(line in done.stderr for line in lines)


@pytest.mark.parametrize("name", BAD_FILES)
def test_wrong_files_are_refused(name, tmp_path):
    make, message = BAD_FILES[name]
    path = tmp_path / "in.npy"
    make(path)
    done = invoke("quantize", path, "-o", tmp_path / "out.npz")
    assert isinstance(done.exception, UserError)
    assert str(done.exception).startswith(f"{path}: {message}")
    assert "\n" not in str(done.exception)
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_one_line_and_exit_2(run, tmp_path):
    done = run("quantize", "no.npy", "-o", "out.npz", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "mlsmac: no.npy: No such file or directory\n"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def report():
    layer = load()[2]
    small = type(layer)(layer.name, layer.phase, layer.w, layer.a[:1], layer.e[:1], 1, 1)
    return make_quality_report([small, small], SCALE_E8M1, 5, lambda what, done, total: None)


def test_quality_has_a_row_for_each_kind_and_setting(report):
    assert len(report.rows) == 3 * 384
    for row in report.rows:
        assert len(row.average_relative_by_tensor) == 2
        mean = sum(row.average_relative_by_tensor) / 2
        assert row.errors.average_relative == pytest.approx(mean)


def test_quality_writes_its_rows_and_a_plot(report, tmp_path):
    assert quality.write(report, tmp_path) == [tmp_path / "quality.json", tmp_path / "quality.svg"]
    assert json.loads((tmp_path / "quality.json").read_text()) == to_json(report)
    plot = (tmp_path / "quality.svg").read_text()
    assert all(text in plot for text in (">nc<", "&lt;3,M&gt; carry", ">&lt;0,3&gt;<"))


def test_quality_tables_show_the_rows_that_they_name(report):
    by_group, by_exponent, by_format, bias = quality_tables(report)
    assert [len(table.rows) for table in (by_group, by_exponent, by_format, bias)] == [4, 4, 24, 14]

    def cell(table, heading: str, place: int) -> float:
        column = next(c for c in table.columns if c.heading == heading)
        return float(column.text(table.rows[place]).replace(",", ""))

    def row(kind: str, element: str, group: str, rounding: str, carry: str):
        return next(
            row
            for row in report.rows
            if (row.kind, row.element, row.group) == (kind, element, group)
            and (row.rounding, row.carry) == (rounding, carry)
        )

    error = row("a", "<2,1>", "c", "stochastic", "clip").errors.average_relative
    assert cell(by_group, "A <2,1>", 2) == pytest.approx(100 * error, rel=0.005)
    error = row("e", "<3,3>", "none", "stochastic", "clip").errors.average_relative
    assert cell(by_exponent, "E none", 3) == pytest.approx(100 * error, rel=0.005)
    error = row("w", "<1,2>", "nc", "stochastic", "carry").errors.average_relative
    assert cell(by_format, "W carry", 7) == pytest.approx(100 * error, rel=0.005)
    shrinks = row("e", "<2,1>", "nc", "nearest", "clip").errors.bias
    assert cell(bias, "E clip", 7) == pytest.approx(100 * shrinks, rel=0.005)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scale", "8"], "--scale must be exp_bits,man_bits (integers) or one of"),
        (["--seed", "-1"], "--seed must be in 0..2147483647, not -1"),
    ],
)
def test_quality_refuses_before_it_writes(options, message, tmp_path):
    done = invoke("quality", "-o", tmp_path / "new", *options)
    assert isinstance(done.exception, UserError)
    assert str(done.exception).startswith(message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["quantize", "quality"])
def test_help_names_json(command):
    done = invoke(command, "--help")
    assert done.exit_code == 0
    assert "--json" in done.stdout
