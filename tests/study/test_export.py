"""An exported result, read back by others: Icarus by its README, the SAIF by a reader of its own,
OpenSTA, and the engine from the files alone.
"""

import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mlsmac.study.builds import builds
from mlsmac.study.conditions import Conditions
from mlsmac.study.export import export
from mlsmac.study.measure import measure
from mlsmac.study.netlist_power import netlist_power
from mlsmac.study.stimuli.pairs import build
from mlsmac.support.cache import Cache
from mlsmac.support.errors import UserError
from mlsmac.synth.mapping.netlist import parse_yosys_json, verilog_to_json
from mlsmac.synth.power.engine import Activity, evaluate
from mlsmac.synth.power.recorded import from_saif, from_vcd, read_netlist
from mlsmac.synth.simulation.simulate import Simulator
from mlsmac.synth.timing.delays import analyse
from mlsmac.units import configure

pytestmark = pytest.mark.eda

OPERATIONS, SEED, CLOCK_MHZ = 120, 7, 30.0
OPTIONS = {"format": "2,1", "acc_width": 10}
UNIT = "mls_mac_e2m1_acc10_saturate"
FILES = {
    *(f"{UNIT}.{kind}" for kind in ("v", "sdf", "saif")),
    *("cells.v", "bench.v", "stimulus.hex", "expected.hex"),
    *("names.json", "manifest.json", "README.md"),
}


def asked(osu018):
    """A small MAC in its first build, and under what."""
    # 30 MHz: a period that is no whole number of ticks.
    conditions = Conditions(
        pdk=osu018, clock_mhz=CLOCK_MHZ, simulator=Simulator.ICARUS, all_builds=False
    )
    return configure("mls_mac", **OPTIONS), conditions, build(OPERATIONS, SEED)


@pytest.fixture(scope="module")
def measured(osu018, osu_library):
    configuration, conditions, stimulus = asked(osu018)
    own = builds(configuration, conditions, osu_library)[0]
    workload = configuration.workload(stimulus)
    return measure(own, conditions, workload, results=Cache(None))


@pytest.fixture(scope="module")
def texts(osu018, measured):
    return export(*asked(osu018), measured)


@pytest.fixture(scope="module")
def folder(texts, tmp_path_factory):
    """What was exported, simulated as its README says."""
    folder = tmp_path_factory.mktemp("export")
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


def blocks(texts, language):
    """Lines of code in the README."""
    code = re.findall(rf"```{language}\n(.*?)```", texts["README.md"], re.DOTALL)
    return [block.splitlines() for block in code]


@pytest.fixture(scope="module")
def said(folder, texts):
    """What each command of the README said; the last leaves a dump."""
    (commands,) = blocks(texts, "sh")
    runs = [
        subprocess.run(shlex.split(line), cwd=folder, capture_output=True, text=True, check=True)
        for line in commands
    ]
    return [run.stdout + run.stderr for run in runs]


def read_saif(text):
    """Durations by instance path and net: lists of words and lists."""
    words = re.findall(r'\(|\)|"[^"]*"|(?:\\.|[^\s()\\])+', text)

    def lists(place):
        found = []
        while words[place] != ")":
            if words[place] == "(":
                inner, place = lists(place + 1)
                found.append(inner)
            else:
                found.append(re.sub(r"\\(.)", r"\1", words[place].strip('"')))
            place += 1
        return found, place

    def nets(path, content):
        for entry in content:
            if entry[0] == "INSTANCE":
                yield from nets((*path, entry[1]), entry[2:])
            elif entry[0] == "NET":
                for name, *states in entry[1:]:
                    yield (*path, name), {key: int(value) for key, value in states}

    assert words[0] == "("
    (start, *content), end = lists(1)
    assert (start, end) == ("SAIFILE", len(words) - 1)
    header = {entry[0]: entry[1:] for entry in content if entry[0] != "INSTANCE"}
    return header, dict(nets((), content))


def read_vcd(text):
    """Toggles by net, and the first and last time; vectors by bit."""
    names, values, toggles, times = {}, {}, {}, []
    for line in text.splitlines():
        if line.startswith("$var"):
            _, _, width, code, name, *_ = line.split()
            bits = range(int(width) - 1, -1, -1)
            names[code] = [f"{name}[{bit}]" for bit in bits] if int(width) > 1 else [name]
        elif line.startswith("#"):
            times.append(int(line[1:]))
        elif line[:1] in {"0", "1", "x", "z", "b"} and line:
            value, code = line[1:].split() if line[0] == "b" else (line[0], line[1:])
            fill = "0" if value[0] in "01" else value[0]
            for name, bit in zip(names[code], value.rjust(len(names[code]), fill), strict=True):
                before = values.get(name, "x")
                toggles[name] = toggles.get(name, 0) + ({before, bit} == {"0", "1"})
                values[name] = bit
    return toggles, times[0], times[-1]


def test_files(texts):
    assert set(texts) == FILES


def test_passes_without_and_with_delays(said):
    compiled, plain, delayed = said
    assert compiled == ""
    assert plain == f"PASS: {OPERATIONS} results are as expected\n"
    assert "PASS" in delayed
    assert not re.search("sdf|warning|error", delayed, re.IGNORECASE), delayed


def test_saif_is_what_the_bench_shows(texts, folder, said):
    header, nets = read_saif(texts[f"{UNIT}.saif"])
    toggles, first, last = read_vcd((folder / f"{UNIT}.vcd").read_text())
    duration = int(header["DURATION"][0])
    assert (header["SAIFVERSION"], header["TIMESCALE"]) == (["2.0"], ["1", "ps"])
    assert last - first == duration == json.loads(texts["manifest.json"])["window"]["duration_ps"]
    own = {path[2]: count for path, count in nets.items() if path[:2] == ("bench", "unit")}
    top = {name: count for name, count in own.items() if ("bench", "unit", name) in nets}
    assert {name: count["TC"] for name, count in top.items()} == toggles
    assert sum(toggles.values()) > 1000
    for count in nets.values():
        assert count["T0"] + count["T1"] == duration
        assert count["TX"] == 0


def test_saif_has_every_output_pin(texts, folder):
    """What OpenSTA annotates: the pins that drive nets."""
    _, nets = read_saif(texts[f"{UNIT}.saif"])
    netlist = parse_yosys_json(verilog_to_json(folder / f"{UNIT}.v"))
    pins = {path[2:]: count for path, count in nets.items() if len(path) == 4}
    assert {cell for cell, _ in pins} == set(netlist.cells)
    for (cell, pin), count in pins.items():
        assert count == nets["bench", "unit", netlist.cells[cell].pins[pin]]


def test_power_from_the_files_alone(texts, folder, osu_library, measured):
    """Netlist and SAIF give the figure that the manifest says a tool finds."""
    header, nets = read_saif(texts[f"{UNIT}.saif"])
    netlist = parse_yosys_json(verilog_to_json(folder / f"{UNIT}.v"))
    ticks = int(header["DURATION"][0])
    activity = {
        path[2]: Activity(count["TC"] / (ticks * 1e-12), count["T1"] / ticks)
        for path, count in nets.items()
        if len(path) == 3
    }
    timing = analyse(netlist, osu_library, "clk")
    power = evaluate(netlist, osu_library, timing, activity, clock_net="clk")
    facts = json.loads(texts["manifest.json"])
    told = facts["power_uw"]["independent"]
    assert told["total"] == pytest.approx(power.total * 1e6, rel=1e-5)
    assert told["groups"]["clock_net"] == pytest.approx(power.nets["clk"] * 1e6, rel=1e-5)
    energy = facts["power_uw"]["counted"]["total"] / CLOCK_MHZ / facts["macs_per_cycle"]
    assert energy == pytest.approx(measured.energy_pj, rel=1e-5)


def test_power_command_finds_it_again(texts, folder, said, osu_library):
    """From netlist and SAIF with pins independent, from the bench's dump with states counted."""
    netlist = read_netlist([folder / f"{UNIT}.v"], osu_library)
    told = json.loads(texts["manifest.json"])["power_uw"]
    for record, kind, states in (
        (from_saif, "saif", "independent"),
        (from_vcd, "vcd", "counted"),
    ):
        recorded = record(folder / f"{UNIT}.{kind}", netlist, osu_library)
        found = netlist_power(netlist, osu_library, recorded, activity=kind, divider="__")
        assert (found.states, found.activity) == (states, kind)
        for part in ("total", "internal", "switching", "leakage"):
            wanted = pytest.approx(told[states][part], rel=1e-5)
            assert getattr(found.power, f"{part}_uw") == wanted
        groups = {own.group: own.power.total_uw for own in found.groups}
        clock = pytest.approx(told[states]["groups"]["clock_net"], rel=1e-5)
        assert groups["clock"] == clock
        assert sum(groups.values()) == pytest.approx(found.power.total_uw, rel=1e-5)
        assert [own.path for own in found.hierarchy] == ["accumulator", "multiplier"]


def test_parts_of_the_power(texts):
    for power in json.loads(texts["manifest.json"])["power_uw"].values():
        parts = power["internal"] + power["switching"] + power["leakage"]
        groups = power["groups"]
        cells = groups["sequential"]["total"] + groups["combinational"]["total"]
        every = cells + groups["clock_net"] + groups["input_nets"]
        for total in (parts, every, sum(power["stages"].values())):
            assert total == pytest.approx(power["total"], rel=1e-4)


def test_names(texts):
    """No name needs an escape; all lead back."""
    words = set(re.findall(r"[^\s().,;:=#\[\]{}'\"]+", texts[f"{UNIT}.v"]))
    assert not any("\\" in word or "$" in word for word in words)
    tables = json.loads(texts["names.json"])
    for table in tables.values():
        assert all(re.fullmatch(r"[A-Za-z_]\w*(\[\d+\])?", name) for name in table)
        assert len(set(table.values())) == len(table)
    stages = {name.partition("__")[0] for name in tables["cells"]}
    assert stages == {"multiplier", "accumulator"}


def test_nothing_of_this_machine(texts, osu018):
    for text in texts.values():
        assert str(osu018.liberty[0].parent) not in text
        assert str(Path.home()) not in text


def test_opensta_reads_netlist_and_delays(texts, folder, osu018):
    timing, power = blocks(texts, "tcl")
    assert power[-1] == "report_power"
    lines = [*timing, "report_annotated_delay"]
    (folder / "script.tcl").write_text("\n".join(lines) + "\n")
    (folder / osu018.liberty[0].name).write_bytes(osu018.liberty[0].read_bytes())
    command = ["sta", "-no_init", "-no_splash", "-exit", "script.tcl"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    report = done.stdout + done.stderr
    assert not re.search("warning|error", report, re.IGNORECASE), report
    assert "slack (MET)" in report
    annotated = re.search(r"^cell arcs +(\d+) +(\d+) +0$", report, re.MULTILINE)
    assert annotated is not None
    assert annotated[1] == annotated[2]


def test_command_writes_the_same_bytes(texts, tmp_path):
    """Another process, the same files; JSON stays alone on stdout."""
    command = [str(Path(sys.executable).parent / "mlsmac"), "synth", "mls_mac", "--format", "2,1"]
    command += ["--acc-width", "10", "--operations", str(10 * OPERATIONS), "--seed", str(SEED)]
    command += ["--clock-mhz", "30", "--simulator", "icarus", "--quick", "--no-cache", "--json"]
    command += ["--export", "a/b"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"][0]["slug"] == UNIT
    assert {path.name: path.read_text() for path in (tmp_path / "a/b").iterdir()} == texts
    assert f"a/b/{UNIT}.saif" in done.stderr


def test_refuses_what_computes_nothing(osu018, measured):
    wrong = replace(measured, energy_pj=None, mismatches=5)
    message = f"{UNIT} must compute at 30 MHz to be exported, but 5 of its results are wrong"
    with pytest.raises(UserError, match=message):
        export(*asked(osu018), wrong)
