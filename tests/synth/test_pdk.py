"""Where Liberty files are looked for, and what a PDK says about its cells."""

import fnmatch
import gzip
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mlsmac.support.errors import ToolError, UserError
from mlsmac.synth.liberty import library
from mlsmac.synth.liberty.library import load
from mlsmac.synth.liberty.pdk import NAMES, find
from mlsmac.synth.liberty.roles import check_flops, nand2
from mlsmac.synth.liberty.syntax import decoded

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
def test_not_installed(nowhere, monkeypatch, name):
    """What to do, and where it was looked for."""
    monkeypatch.setenv("MLSMAC_PDK_DIR", str(nowhere / "absent"))
    with pytest.raises(ToolError, match=f"^no Liberty file of {name} found: ") as found:
        find(name)
    told = str(found.value)
    assert "set MLSMAC_PDK_DIR to a folder that has" in told
    assert f"searched: {nowhere / 'absent'} (no folder), {nowhere / 'home' / '.ciel'}" in told


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
    with pytest.raises(UserError, match=r"must be a file, but '.*absent\.lib' is not there"):
        find(liberty=tmp_path / "absent.lib")
    with pytest.raises(UserError, match=r"must be a file, but '.*' is a folder"):
        find(liberty=tmp_path)


def test_custom_file_is_no_liberty(tmp_path):
    path = tmp_path / "netlist.v"
    path.write_text("module top(); endmodule\n")
    with pytest.raises(UserError, match="must begin with a library group"):
        find(liberty=path)


def test_asap7_in_its_five_files(nowhere, monkeypatch):
    parts = ("AO", "INVBUF", "OA", "SEQ", "SIMPLE")
    files = [_file(nowhere / f"asap7sc7p5t_{part}_RVT_TT_nldm_211120.lib.gz") for part in parts]
    monkeypatch.setenv("MLSMAC_PDK_DIR", str(nowhere))
    assert find("asap7").liberty == tuple(files)
    files[2].unlink()
    with pytest.raises(ToolError, match="no Liberty file of asap7 found"):
        find("asap7")


def test_every_file_given_must_exist(tmp_path):
    with pytest.raises(UserError, match=r"absent\.lib' is not there"):
        find(liberty=[TINY, tmp_path / "absent.lib"])


SKY = "sky130_fd_sc_hd__"
AS_SKY130 = {"INV": "inv_2", "NAND2": "nand2_1", "TIE": "conb_1", "DFF": "dfxtp_1"}


@pytest.fixture
def as_sky130(tmp_path):
    """The tiny library with names of SKY130, and a cell more, by that library's rules no gate."""

    def make(area, family=SKY):
        text = TINY.read_text().replace("cell (NAND2) { area : 3", f"cell (NAND2) {{ area : {area}")
        cell = text[text.index("  cell (INV)") : text.index("  cell (NAND2)")]
        text = text.replace(
            "  cell (INV)", cell.replace("INV", f"{family}lpflow_x") + "  cell (INV)"
        )
        for own, name in AS_SKY130.items():
            text = text.replace(f"cell ({own})", f"cell ({family}{name})")
        path = tmp_path / "corner.txt"
        path.write_text(text)
        return path

    return make


def test_a_known_library_is_known_by_its_cells(as_sky130):
    """Whatever its file's name, its own name and its corner."""
    pdk = find(liberty=as_sky130(3.7536))
    assert (pdk.name, pdk.nand2, pdk.driver) == ("sky130", f"{SKY}nand2_1", f"{SKY}inv_2")
    assert (pdk.tie_high, pdk.load_ff) == ((f"{SKY}conb_1", "HI"), 10)
    assert f"{SKY}lpflow_x" not in load(pdk.liberty).usable(pdk.dont_use)


@pytest.mark.parametrize(("area", "family"), [(4, SKY), (3.7536, "sky130_fd_sc_hs__")])
def test_rules_of_a_family_hold_in_all_its_libraries(as_sky130, area, family):
    pdk = find(liberty=as_sky130(area, family))
    assert (pdk.name, pdk.driver, pdk.load_ff) == ("tiny", f"{family}inv_2", 2000)
    assert pdk.tie_high == (f"{family}conb_1", "Y")
    assert f"{family}lpflow_x" not in load(pdk.liberty).usable(pdk.dont_use)


@pytest.mark.eda
@pytest.mark.parametrize("name", NAMES)
def test_a_renamed_file_is_treated_like_the_original(name, tmp_path):
    pdk = _found(name)
    text = decoded(pdk.liberty[0].read_bytes(), "")
    (tmp_path / "cells").write_text(text)
    renamed = find(liberty=tmp_path / "cells")
    assert replace(renamed, liberty=pdk.liberty, clock_mhz=pdk.clock_mhz) == pdk


@pytest.mark.eda
@pytest.mark.parametrize("name", NAMES)
def test_table_fits_the_library(name):
    """Every cell, pin and pattern of the table exists in the file."""
    pdk = _found(name)
    cells = load(pdk.liberty)
    assert cells.odd == {}
    usable = cells.usable(pdk.dont_use)
    assert usable[pdk.nand2].area_um2 == nand2(cells, usable).area_um2
    assert len(usable[pdk.driver].inputs) == 1
    check_flops(cells, usable)
    for pattern in pdk.dont_use:
        assert fnmatch.filter(cells.cells, pattern), pattern
    for tie in filter(None, (pdk.tie_high, pdk.tie_low)):
        cell, pin = tie
        function = cells.cells[cell].pins[pin].function
        assert function.evaluate({}) == (tie == pdk.tie_high)


def _found(name):
    try:
        return find(name)
    except ToolError as error:
        return pytest.skip(
            f"{error}; MLSMAC_PDK_DIR is {os.environ.get('MLSMAC_PDK_DIR', 'unset')}"
        )
