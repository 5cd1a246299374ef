"""Where Liberty files are looked for, and what a PDK says about its cells."""

import fnmatch
import gzip
import os
import re
from pathlib import Path

import pytest

from mlsmac.support.errors import UserError
from mlsmac.synth.liberty import library
from mlsmac.synth.liberty.library import load
from mlsmac.synth.liberty.pdk import NAMES, find

TINY = Path(__file__).parents[1] / "data" / "power" / "tiny.liberty"
SKY130 = "sky130_fd_sc_hd__tt_025C_1v80.lib"


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No PDK but Debian's is anywhere; returns an empty folder."""
    for variable in ("MLSMAC_PDK_DIR", "PDK_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def _file(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize("name", [SKY130, SKY130 + ".gz"])
def test_own_directory(nowhere, monkeypatch, name):
    path = _file(nowhere / name)
    monkeypatch.setenv("MLSMAC_PDK_DIR", str(nowhere))
    assert find("sky130").liberty == (path,)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("sky130", f"sky130A/libs.ref/sky130_fd_sc_hd/lib/{SKY130}"),
        ("sky130", f"sky130B/libs.ref/sky130_fd_sc_hd/lib/{SKY130}"),
        ("sg13g2", "ihp-sg13g2/libs.ref/sg13g2_stdcell/lib/sg13g2_stdcell_typ_1p20V_25C.lib"),
    ],
)
@pytest.mark.parametrize("root", ["PDK_ROOT", ".ciel", ".volare"])
def test_installed(nowhere, monkeypatch, root, name, file):
    base = nowhere / "root" if root == "PDK_ROOT" else nowhere / "home" / root
    monkeypatch.setenv("PDK_ROOT", str(nowhere / "root"))
    path = _file(base / file)
    assert find(name).liberty == (path,)


def test_own_directory_comes_first(nowhere, monkeypatch):
    _file(nowhere / "root" / "sky130A/libs.ref/sky130_fd_sc_hd/lib" / SKY130)
    path = _file(nowhere / "own" / SKY130)
    monkeypatch.setenv("PDK_ROOT", str(nowhere / "root"))
    monkeypatch.setenv("MLSMAC_PDK_DIR", str(nowhere / "own"))
    assert find("sky130").liberty == (path,)


def test_default_is_osu018(nowhere, monkeypatch):
    monkeypatch.setenv("MLSMAC_PDK_DIR", str(nowhere))
    path = _file(nowhere / "osu018_stdcells.lib")
    pdk = find()
    assert (pdk.name, pdk.liberty, pdk.clock_mhz) == ("osu018", (path,), 40)


@pytest.mark.parametrize("name", ["sky130", "sg13g2", "asap7"])
def test_not_installed(nowhere, name):
    with pytest.raises(UserError, match=rf"^no Liberty file of {name} found \(looked for .*\): "):
        find(name)


def test_unknown_name():
    rule = "pdk must be one of osu018, sky130, sg13g2, asap7, not 'tsmc65'"
    with pytest.raises(UserError, match=rule):
        find("tsmc65")


def test_name_and_file():
    with pytest.raises(UserError, match="must not both be given"):
        find("osu018", TINY)


def test_custom_file(tmp_path):
    for path in (TINY, tmp_path / "tiny.lib.gz"):
        if path is not TINY:
            path.write_bytes(gzip.compress(TINY.read_bytes()))
        pdk = find(liberty=path)
        assert (pdk.name, pdk.liberty, pdk.clock_mhz) == ("tiny", (path,), 100)
        assert (pdk.nand2, pdk.driver) == ("NAND2", "INV")
        assert pdk.load_ff == 2000  # four times 0.5 pF


def test_custom_file_is_parsed_once(tmp_path, monkeypatch):
    parsed = []
    parse = library.parse
    monkeypatch.setattr(
        library, "parse", lambda text, name: parsed.append(text) or parse(text, name)
    )
    path = tmp_path / "tiny.lib"
    path.write_bytes(TINY.read_bytes() + b"/* first */")
    pdk = find(liberty=path)
    assert load(pdk.liberty) is load(find(liberty=path).liberty)
    assert len(parsed) == 1
    path.write_bytes(TINY.read_bytes() + b"/* second */")
    assert load(path).name == "tiny"
    assert len(parsed) == 2


def test_nand_is_known_by_its_function_not_its_name(tmp_path):
    path = tmp_path / "tiny.lib"
    text = TINY.read_text()
    path.write_text(text.replace("cell (NAND2)", "cell (N)").replace("cell (INV)", "cell (NAND2)"))
    pdk = find(liberty=path)
    assert (pdk.nand2, pdk.driver) == ("N", "NAND2")


def test_a_library_without_nand_is_refused(tmp_path):
    path = tmp_path / "tiny.lib"
    nand = TINY.read_text()
    function = re.search(r'function : "[^"]*"', nand[nand.index("cell (NAND2)") :])[0]
    path.write_text(nand.replace(function, 'function : "a"'))
    with pytest.raises(UserError, match=r"tiny\.lib must have a two-input NAND, but has none"):
        find(liberty=path)


def test_custom_file_absent(tmp_path):
    with pytest.raises(UserError, match="not found"):
        find(liberty=tmp_path / "absent.lib")


def test_custom_file_is_no_liberty(tmp_path):
    path = tmp_path / "netlist.v"
    path.write_text("module top(); endmodule\n")
    with pytest.raises(UserError, match="must begin with a library group"):
        find(liberty=path)


@pytest.mark.eda
@pytest.mark.parametrize("name", NAMES)
def test_table_fits_the_library(name):
    """Every cell, pin and pattern of the table exists in the file."""
    try:
        pdk = find(name)
    except UserError as error:
        pytest.skip(f"{error}; MLSMAC_PDK_DIR is {os.environ.get('MLSMAC_PDK_DIR', 'unset')}")
    cells = load(pdk.liberty)
    custom = find(liberty=pdk.liberty)
    assert cells[pdk.nand2].area_um2 == cells[custom.nand2].area_um2
    assert len(cells[pdk.driver].inputs) == 1
    for pattern in pdk.dont_use:
        assert fnmatch.filter(cells.cells, pattern), pattern
    for tie in filter(None, (pdk.tie_high, pdk.tie_low)):
        cell, pin = tie
        function = cells.cells[cell].pins[pin].function
        assert function.evaluate({}) == (tie == pdk.tie_high)
