"""Wrong requests of every command, as somebody new makes them: one line that names value and rule,
status 2, nothing written. In one process, which a command's start is most of.
"""

import errno
import gzip
import os
import shlex
from pathlib import Path

import numpy as np
import pytest

from mlsmac.cli import ending
from mlsmac.cli.main import app
from mlsmac.data.quantized import QuantizedLayer, save_layer
from mlsmac.golden import MLS_E2M4, SCALE_E8M1, quantize
from mlsmac.support.errors import Interrupted, ToolError, UserError

TINY = Path(__file__).parents[1] / "data" / "power" / "tiny.liberty"

MISTAKES = """
units extra | unexpected extra argument(s) (extra)
units --json=1 | '--json' does not take a value
generate | Missing argument 'UNIT'
generate 'mls mac' | unit must be one of mls_mac
generate mls_mac extra | unexpected extra argument(s) (extra)
generate mls_mac --nope | No such option: --nope
generate mls_mac --format 2 | format must be exp_bits,man_bits (integers) or one of mls_e2m4
generate mls_mac --format 2,4,5 | not '2,4,5'
generate mls_mac --format -1,4 | not '-1,4'
generate mls_mac --format 99999999999999999999,4 | exp_bits must be in 0..5, not 99999999999999
generate mls_mac --format '' | --format must not be empty
generate mls_mac --acc-width 0 | acc_width must be in 2..128, not 0
generate mls_mac --acc-width -3 | --acc-width must be an integer or auto, not '-3'
generate mls_mac --acc-width ² | --acc-width must be an integer or auto, not '²'
generate mls_mac --acc-width auto --length 0 | length must be in 1..1073741824, not 0
generate mls_mac --length x | --length must be an integer, not 'x'
generate mls_mac --overflow nope | overflow must be one of 'saturate', 'wrap', not 'nope'
generate mls_mac -o '' | -o must not be empty
generate mls_mac --output= | --output must not be empty
generate mls_mac -o file | file: must be a folder, not a file
generate mls_mac -o file/x | file/x: Not a directory
generate mls_mac -o /proc/x | /proc/x: No such file or directory
generate mls_tile --interface udp | interface must be one of 'wires', 'stream', 'axi', not 'udp'
generate mls_tile --interface axi --results 0 | results must be in 2..64, not 0
generate mls_tile --lanes 1.5 | --lanes must be an integer, not '1.5'
generate mls_tile --lanes 1000000 | lanes must be in 1..64, not 1000000
generate mls_tile --sharing 3 --lanes 4 | sharing must be 1, or a power of two
generate mls_tile --scale x | scale must be exp_bits,man_bits (integers) or one of e8m0
verify mls_mac --simulator vcs | --simulator must be one of icarus, verilator, not 'vcs'
verify mls_mac --operations 1e3 | --operations must be an integer, not '1e3'
verify mls_mac --operations 99999999999 | --operations must be in 1..2147483647, not 99999999999
verify mls_mac --seed 99999999999 | --seed must be in 0..2147483647, not 99999999999
verify mls_mac --outputs 3 | --outputs must be given with --layer, not alone: '3'
verify mls_mac --layer layer.npz | --layer must be given with mls_tile or dot_tile, not mls_mac
verify mls_tile --layer file | file: must be a layer file, as mlsmac.data.quantized.save_layer
verify mls_tile --layer x.npz | x.npz: No such file or directory
verify mls_tile --layer dir | dir: Is a directory
verify mls_tile --layer '' | --layer must not be empty
verify mls_tile --layer layer.npz --format 2,1 | --format must be 2,4 for conv, whose codes are
verify mls_tile --layer layer.npz --scale 4,3 | --scale must be 8,1 for conv, whose codes are
verify dot_tile --layer layer.npz --scale none | of that, not none
verify mls_tile --layer layer.npz --convolution x | --convolution must be one of wa, we, ae, all
verify mls_tile --layer layer.npz --convolution ae | needs the tensors a, e: layer.npz has w, a
verify mls_tile --layer layer.npz --outputs 0 | --outputs must be in 1..2147483647, not 0
verify mls_tile --layer layer.npz --outputs few | --outputs must be an integer or all, not 'few'
verify mls_tile --layer layer.npz --segment 0 | --segment must be in 1..2147483647, not 0
verify mls_tile --layer layer.npz --acc-width 14 | acc_width must be 15 or more, to hold one
verify mls_tile --layer layer.npz --operations 9 | --operations must be left out with --layer, not
verify mls_tile --layer layer.npz --interface axi | --interface must be left out with --layer
verify mls_tile --layer layer.npz --vectors dir | --vectors must be left out with --layer, not 'dir'
verify dot_tile --layer layer.npz --operands decoded | conv: operands must be codes or decoder
verify dot_tile --layer layer.npz --tree exact | option tree ('exact') is not one of dot_tile
verify mls_mac --interface axi | interface must be wires for mls_mac, not 'axi'
synth mls_mac --pdk x --json | pdk must be one of osu018, sky130, sg13g2, asap7, not 'x'
synth mls_mac --pdk osu018 --liberty tiny.lib | pdk and liberty must not both be given
synth mls_mac --liberty dir | Liberty file must be a file, but 'dir' is a folder
synth mls_mac --liberty x.lib | Liberty file must be a file, but 'x.lib' is not there
synth mls_mac --liberty /dev/null | '/dev/null' is a device or a pipe
synth mls_mac --liberty bad.lib | bad.lib must begin with a library group
synth mls_mac --liberty cut.lib.gz | cut.lib.gz must be a whole compressed file
synth mls_mac --liberty words.lib | cell INV: area must be a number, not 'large'
synth mls_mac --liberty tiny.lib --liberty tiny.lib | tiny.lib: cell INV must stand once
synth mls_mac --clock-mhz x | --clock-mhz must be a number, not 'x'
synth mls_mac --clock-mhz nan | clock_mhz must be in 0.001..100000, not nan
synth mls_mac --states x | --states must be one of 'independent', 'counted', not 'x'
synth mls_mac --simulator x | --simulator must be one of 'events', 'icarus', not 'x'
synth mls_mac --operations 99999999999999 | --operations must be in 9..2147483647
synth mls_mac --precision -1 | --precision must be positive and finite, not -1.0
synth mls_mac --export '' | --export must not be empty
synth mls_mac --density 0.5 | --density, --row-height and --wire-capacitance must be given with
synth mls_mac --layout --density 0 | density must be above 0 and at most 1, not 0.0
synth mls_mac --layout --wire-capacitance inf | wire capacitance must be positive and finite
synth mls_tile --interface stream | No such option: --interface
dots x | unexpected extra argument(s) (x)
report x | x: No such file or directory
report --lanes 4,,8 | --lanes must be powers of two in 1..64 with commas between, not '4,,8'
report --lanes ² | not '²'
report --quick=yes | '--quick' does not take a value
report -o file | file: must be a folder, not a file
table5 -o file/x | file/x: Not a directory
tiles --lanes 99999999999999999999999999 | --lanes must be numbers in 1..64 with commas between
dots --lanes 3 | --lanes must be powers of two in 1..64
quantizers --batch x | --batch must be an integer, not 'x'
quantizers --batch 99999999999 | --batch must be in 1..2147483647, not 99999999999
fpga mls_mac --speed-grade 9 | speed_grade must be one of 6, 7, 8, not 9
fpga mls_mac --seeds -1 | --seeds must be in 1..2147483647, not -1
quantize missing.npy -o out.npz | missing.npy: No such file or directory
quantize dir -o out.npz | dir: Is a directory
quantize file -o out.npz | file: must be a .npy file, as numpy.save writes it
quantize file -o dir | --output must be a file in a writable folder, not 'dir'
step | Missing argument 'NETWORK'
step alexnet | network must be resnet-20, resnet-18 or a file, and 'alexnet' is neither
step dir | dir: Is a directory
step file | file must have three layers or more, since the first and the last are not quantized
step net.csv | net.csv, line 3: kernel must be an integer in 1..1024, not 'x'
step resnet-20 --batch 0 | --batch must be in 1..2147483647, not 0
step resnet-20 --lanes 3 | --lanes must be one of 4, 8, 16, 32, 64, which are measured, not 3
step resnet-20 --memory-pj-per-bit x | must be a number from 0, or one of sram-8k
step resnet-20 --report file | file must be a file that report, dots, tiles or quantizers wrote
step resnet-20 --report missing.json | missing.json: No such file or directory
step resnet-20 -o file | file: must be a folder, not a file
quality --scale x | --scale must be exp_bits,man_bits (integers) or one of e8m0
quality --seed -1 | --seed must be in 0..2147483647, not -1
pdk | Missing argument 'NAME|FILE...'
pdk sky13 | the library must be one of osu018, sky130, sg13g2, asap7, or Liberty files, not 'sky13'
pdk osu018 sky130 | or Liberty files, not 'osu018'
pdk cut.lib.gz | cut.lib.gz must be a whole compressed file
doctor [fpga] | unexpected extra argument(s) ([fpga])
nothing | No such command 'nothing'
train x | unexpected extra argument(s) (x)
train --data nowhere | --data must be fashion-mnist, digits, or a folder that holds
train --data dir | train-images-idx3-ubyte or data_batch_1, not 'dir'
train --data '' | --data must not be empty
train --model resnet-50 | --model must be resnet-8 or resnet-20, not 'resnet-50'
train --schedule linear | --schedule must be cosine or steps, not 'linear'
train --device tpu | --device must be cpu or cuda, not 'tpu'
train --epochs 0 | --epochs must be in 1..2147483647, not 0
train --seeds 0 | --seeds must be in 1..2147483647, not 0
train --batch 0 | --batch must be in 1..2147483647, not 0
train --data digits --batch 5000 | --batch must be at most 1437, the images of the training set, not
train --size 3 | --size must be in 4..2147483647, not 3
train --processes 0 | --processes must be in 1..2147483647, not 0
train --arm fp33 | --arm 'fp33': format must be one of float32, mls
train --arm 'mls --elements 2,1' | mls takes --a VALUE
train --arm 'mls --element 2' | element must be exp_bits,man_bits (integers)
train --arm 'mls --group n --accumulate exact' | group must be 'nc' for exact sums, not 'n'
train --grid 'element' | grid must be OPTION=VALUE ..., not 'element'
train --grid 'elements=2,1' | mls takes --a VALUE
train --grid 'element=4-2,1' | a range must ascend
train --data digits -o file | file: must be a folder, not a file
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to run in, with files that are not what is asked for."""
    text = TINY.read_text()
    (tmp_path / "file").write_text("")
    (tmp_path / "dir").mkdir()
    (tmp_path / "tiny.lib").write_text(text)
    (tmp_path / "net.csv").write_text("in_channels,out_channels,kernel,stride,size\n\n3,8,x,1,8\n")
    (tmp_path / "bad.lib").write_bytes(b"\0\xff")
    (tmp_path / "words.lib").write_text(text.replace("area : 2;", "area : large;"))
    (tmp_path / "cut.lib.gz").write_bytes(gzip.compress(text.encode())[:-40])
    x = np.ones((1, 1, 1, 1), np.float32)
    tensors = {letter: quantize(x, MLS_E2M4, SCALE_E8M1, rounding="nearest") for letter in "wa"}
    save_layer(tmp_path / "layer.npz", QuantizedLayer("conv", tensors, 1, 0))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ending, "_catch_signals", list)
    monkeypatch.setattr(ending, "_CAUGHT", [])
    return tmp_path


def _status(monkeypatch, arguments, command=app):
    monkeypatch.setattr("sys.argv", ["mlsmac", *arguments])
    with pytest.raises(SystemExit) as ended:
        ending.run(command)
    return ended.value.code or 0


@pytest.mark.parametrize("line", MISTAKES.strip().splitlines())
def test_a_wrong_request_is_one_line(line, folder, monkeypatch, capsys):
    arguments, message = (part.strip() for part in line.split(" | ", 1))
    before = sorted(folder.rglob("*"))
    assert _status(monkeypatch, shlex.split(arguments)) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert (told.err.count("\n"), told.err[:8], told.out) == (1, "mlsmac: ", "")
    # Where results are kept is looked at before any work.
    made = {path.relative_to(folder).as_posix() for path in {*folder.rglob("*")} - {*before}}
    assert made <= {"build", "build/cache"}


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("x must be 1, not 2"), 2, "x must be 1, not 2"),
        (ToolError("sta not found"), 1, "sta not found"),
        (FileNotFoundError(errno.ENOENT, "none there", "a"), 2, "a: none there"),
        (PermissionError(errno.EACCES, "forbidden", "a[b]"), 2, "a[b]: forbidden"),
        (OSError(errno.ENOSPC, "disk is full", "a"), 1, "a: disk is full"),
        (OSError(errno.EMFILE, "too many"), 1, "standard output: too many"),
        (MemoryError("8 GiB"), 1, "out of memory: 8 GiB"),
        (Interrupted(2), 130, "ended by SIGINT"),
        (Interrupted(15), 143, "ended by SIGTERM"),
    ],
)
def test_each_kind_of_error_has_one_status(error, status, line, folder, monkeypatch, capsys):
    def command(**_):
        raise error

    assert _status(monkeypatch, [], command) == status
    assert capsys.readouterr().err == f"mlsmac: {line}\n"


def test_who_has_read_enough_gets_no_message(folder, monkeypatch, capsys):
    def command(**_):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    assert _status(monkeypatch, [], command) == 1
    assert capsys.readouterr().err == ""


def test_a_command_without_arguments_is_its_help(folder, monkeypatch, capsys):
    assert _status(monkeypatch, []) == 2
    assert capsys.readouterr().err.startswith("Usage: mlsmac")


@pytest.mark.parametrize("name", ["sky130", "asap7"])
def test_a_pdk_that_is_not_installed_is_not_a_wrong_request(name, folder, monkeypatch, capsys):
    monkeypatch.setenv("MLSMAC_PDK_DIR", str(folder / "dir"))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("PDK_ROOT", raising=False)
    assert _status(monkeypatch, ["synth", "mls_mac", "--pdk", name]) == 1
    told = capsys.readouterr().err
    assert f"no Liberty file of {name} found" in told
    assert f"searched: {folder / 'dir'}, {folder / '.ciel'} (no folder)" in told


def test_remedies_keep_their_brackets(folder, monkeypatch, capsys):
    monkeypatch.setattr("mlsmac.cli.doctor._package_version", lambda _: None)
    monkeypatch.setattr("mlsmac.cli.output.out._width", 300)
    assert _status(monkeypatch, ["doctor"]) == 1
    told = capsys.readouterr().out
    assert "pip install 'mlsmac[fpga]'" in told
    assert "pip install 'mlsmac[fast]'" in told
