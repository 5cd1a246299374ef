"""A placement as DEF, read back."""

import re
import shutil
import subprocess

import pytest

from mlsmac.synth.layout.def_text import def_text
from mlsmac.synth.layout.placement import place
from mlsmac.synth.mapping.netlist import CONSTANT_NETS
from mlsmac.synth.simulation.portable import LegalNames


def _section(text, name):
    """Its items, as many as it says."""
    count, body = re.search(rf"^{name} (\d+) ;\n(.*?)^END {name}$", text, re.S | re.M).groups()
    items = re.findall(r"^- (.*) ;$", body, re.M)
    assert len(items) == int(count) == body.count(";")
    return items


def _placed(item):
    x, y, orientation = re.search(r"\+ PLACED \( (\d+) (\d+) \) (\w+)$", item).groups()
    return int(x) / 1000, int(y) / 1000, orientation


@pytest.fixture(scope="module")
def written(ring, tiny):
    netlist = ring(30)
    placed = place(netlist, tiny, row_um=3)
    names = LegalNames(netlist)
    return netlist, placed, names, def_text(netlist, placed, names, layer="metal2")


def test_cells_lie_where_they_were_placed(written):
    netlist, placed, names, text = written
    found = {item.split()[0]: item for item in _section(text, "COMPONENTS")}
    assert found.keys() == set(names.cells.values())
    for name, cell in netlist.cells.items():
        item = found[names.cells[name]]
        x, y, orientation = _placed(item)
        assert item.split()[1] == cell.kind
        assert (x, y) == pytest.approx(placed.cells[name])
        assert orientation == ("FS" if round(y / 3) % 2 else "N")


def test_rows_make_the_core(written):
    _, placed, _, text = written
    rows = re.findall(r"^ROW row_\d+ core 0 (\d+) (N|FS) DO (\d+) BY 1 STEP (\d+) 0 ;$", text, re.M)
    assert [int(y) for y, *_ in rows] == [3000 * row for row in range(placed.rows)]
    assert all(int(sites) * int(step) == placed.width_um * 1000 for _, _, sites, step in rows)
    area = re.search(r"DIEAREA \( 0 0 \) \( (\d+) (\d+) \) ;", text).groups()
    assert tuple(map(int, area)) == (placed.width_um * 1000, placed.height_um * 1000)
    assert "UNITS DISTANCE MICRONS 1000 ;" in text


def test_pins_of_ports_are_on_the_edge(written):
    netlist, placed, names, text = written
    found = {item.split()[0]: item for item in _section(text, "PINS")}
    assert found.keys() == {"clk", "z[0]", "z[1]"}  # z[2] is constant
    for pin, item in found.items():
        net = netlist.inputs["clk"][0] if pin == "clk" else f"n{pin[2]}"
        assert f"+ NET {names.net(net)} " in item
        assert f"+ DIRECTION {'INPUT' if pin == 'clk' else 'OUTPUT'} " in item
        assert "+ LAYER metal2 " in item
        assert _placed(item)[:2] == pytest.approx(placed.ports[net], abs=1e-3)


def test_nets_connect_what_the_netlist_connects(written):
    netlist, _, names, text = written
    found = {}
    for item in _section(text, "NETS"):
        net = item.split()[0]
        found[net] = sorted(re.findall(r"\( (\S+) (\S+) \)", item))
    expected = {}
    for name, cell in netlist.cells.items():
        for pin, net in cell.pins.items():
            if net not in CONSTANT_NETS:
                expected.setdefault(names.net(net), []).append((names.cells[name], pin))
    for pin, net in (("clk", "clk"), ("z[0]", "n0"), ("z[1]", "n1")):
        expected[names.net(net)].append(("PIN", pin))
    assert found == {net: sorted(own) for net, own in expected.items()}


@pytest.mark.eda
def test_magic_reads_it(mac, tmp_path):
    """With the cells of Debian's package: nothing to complain of, all of it there."""
    magic, folder = shutil.which("magic"), mac.pdk.liberty[0].parent
    lef, technology = folder / "osu018_stdcells.lef", folder / "SCN6M_SUBM.10.tech"
    if not (magic and lef.exists() and technology.exists()):
        pytest.skip("magic or the LEF file of osu018 is not installed")
    placed = place(mac.netlist, mac.library, row_um=mac.pdk.row_um)
    text = def_text(mac.netlist, placed, LegalNames(mac.netlist), layer="metal2")
    (tmp_path / "unit.def").write_text(text)
    (tmp_path / "read.tcl").write_text(f"lef read {lef}\ndef read unit.def\nquit -noprompt\n")
    run = subprocess.run(
        [magic, "-dnull", "-noconsole", "-T", str(technology), "read.tcl"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=True,
    )
    said = (run.stdout + run.stderr).partition("Reading DEF data")[2].splitlines()
    counts = len(mac.netlist.cells), len(_section(text, "PINS")), len(_section(text, "NETS"))
    told = ("subcell instances", "pins", "nets")
    expected = [
        f"Processed {count} {what} total." for count, what in zip(counts, told, strict=True)
    ]
    assert [line.strip() for line in said if line.endswith("total.")] == expected
    assert not [line for line in said if line.startswith("DEF read, Line")]
