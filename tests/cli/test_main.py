"""The command line without EDA tools: output, exit codes, one-line errors, nothing half-written."""

import importlib.metadata
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import mlsmac

COMMANDS = (
    "units",
    "generate",
    "verify",
    "synth",
    "report",
    "compare",
    "dots",
    "sweep",
    "train",
    "quantizers",
    "fpga",
    "export",
    "pdk",
    "power",
    "step",
    "doctor",
)


MLSMAC = str(Path(sys.executable).parent / "mlsmac")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(run, command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert "--json" in done.stdout


def test_version_is_the_distributions() -> None:
    version = importlib.metadata.version("mlsmac")
    assert mlsmac.__version__ == version
    done = subprocess.run([MLSMAC, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"mlsmac {version}\n")


def test_module_is_the_command(run) -> None:
    command = [sys.executable, "-m", "mlsmac", "units", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == run("units", "--json").stdout
    wrong = subprocess.run([*command[:3], "nothing"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2


def test_unknown_attribute_of_the_package() -> None:
    with pytest.raises(AttributeError, match="module 'mlsmac' has no attribute 'nothing'"):
        _ = mlsmac.nothing


def test_importing_the_package_imports_nothing_else() -> None:
    """Whoever wants one sub-package pays for that one alone."""
    code = (
        "import sys; before = set(sys.modules); import mlsmac; "
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "mlsmac\n"


def test_units_lists_names_and_descriptions(run) -> None:
    units = json.loads(run("units", "--json").stdout)
    assert {"mls_mac", "fp32_mac", "fp8_mac", "float_multiplier"} <= {u["name"] for u in units}
    assert all(unit["description"] for unit in units)


def test_generate_writes_verilog_and_sidecar(run, tmp_path: Path) -> None:
    done = run("generate", "mls_mac", "--format", "2,1", "--acc-width", "12", "-o", str(tmp_path))
    assert done.returncode == 0, done.stderr
    slug = "mls_mac_e2m1_acc12_saturate"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{slug}.json", f"{slug}.v"]
    assert json.loads((tmp_path / f"{slug}.json").read_text())["module"] == slug
    assert f"module {slug}" in (tmp_path / f"{slug}.v").read_text()


def test_generate_tells_its_files_and_warns_beside_json(run, tmp_path: Path) -> None:
    unit = ("mls_mac", "--acc-width", "16", "--length", "9")
    done = run("generate", *unit, "-o", "rtl", "--json", cwd=tmp_path)
    assert done.returncode == 0
    told = json.loads(done.stdout)
    names = [f"rtl/mls_mac_e2m4_acc16_saturate.{kind}" for kind in ("v", "json")]
    assert told["files"] == names
    written = json.loads((tmp_path / names[1]).read_text())
    assert {**written, "files": names} == told
    assert done.stderr == (
        "mlsmac: acc_width 16 holds 2 products whatever the operands, not 9: saturate beyond; "
        "acc_width auto is proven\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["generate", "mls_mac", "--format", "3,3", "--acc-width", "16"],
            "acc_width must be 21 or more, to hold one product of magnitude 921600, not 16",
        ),
        (
            ["generate", "mls_tile", "--lanes", "2", "--guard-bits", "3"],
            "guard_bits must be given with tree aligned only, not 3 with tree fp32",
        ),
        (["generate", "mls_mac", "--format", "9,9"], "exp_bits must be in 0..5, not 9"),
        (["generate", "nothing"], "unit must be one of mls_mac"),
        (["generate", "fp32_mac", "--format", "2,4"], "option format ('2,4') is not one of"),
        (["generate", "mls_mac", "--acc-width", "wide"], "--acc-width must be an integer or auto"),
        (
            ["generate", "mls_mac", "--recoding", "wallace"],
            "recoding must be one of 'none', 'booth4'",
        ),
        (
            ["verify", "mls_tile", "--acc-width", "64", "--lanes", "2"],
            "acc_width must keep a tile's terms within 54 bits, not 64 (68 bits)",
        ),
        (["generate", "group_scaler", "--acc-width", "64"], "acc_width must be in 2..49, not 64"),
        (["verify", "mls_mac", "--simulator", "vcs"], "--simulator must be one of icarus"),
        (["quantizers", "--batch", "0"], "--batch must be in 1..2147483647, not 0"),
        (["verify", "mls_mac", "--operations", "0"], "--operations must be in 1.."),
        (["verify", "mls_mac", "--seed", "-1"], "--seed must be in 0.."),
        (["synth", "mls_mac", "--pdk", "tsmc65"], "pdk must be one of osu018"),
        (["synth", "mls_mac", "--liberty", "missing.lib"], "missing.lib"),
        (["synth", "mls_mac", "--script", "tiny"], "--script must be one of area"),
        (["fpga", "mls_mac", "--device", "12k"], "device must be one of 25k, 45k, 85k, not '12k'"),
        (["fpga", "mls_mac", "--seeds", "0"], "--seeds must be in 1.."),
        (["report", "--clock-mhz", "-1"], "clock_mhz must be in 0.001..100000, not -1.0"),
        (["report", "--clock-mhz", "inf"], "clock_mhz must be in 0.001..100000, not inf"),
        (["report", "--clock-mhz", "1e-9"], "clock_mhz must be in 0.001..100000, not 1e-09"),
        (["generate", "mls_mac", "--seed", "3"], "--seed is of the bench: give --testbench too"),
        (
            ["generate", "mls_mac", "--testbench", "--operations", "0"],
            "--operations must be in 1..",
        ),
        (
            ["generate", "mls_tile", "--lanes", "2", "--interface", "axi", "--testbench"],
            "--testbench is for --interface wires",
        ),
        (
            ["verify", "mls_tile", "--lanes", "2", "--interface", "stream", "--vectors", "kept"],
            "--vectors is for --interface wires",
        ),
        (["export"], "give one of --hwcomponents, --accelergy, --zigzag and --csv"),
        (["export", "--csv", "t.csv"], "report.json not found: run `mlsmac report` first"),
        (["export", "missing.json", "--csv", "t.csv"], "missing.json: No such file"),
        (["export", "--csv", "t.csv", "--node-nm", "-1"], "--node-nm must be positive, not -1"),
        (["report", "--precision", "0"], "--precision must be positive and finite, not 0.0"),
        (["table5", "--precision", "nan"], "--precision must be positive and finite, not nan"),
        (["report", "--top", "mac"], "--top must be given with --verilog"),
        (["report", "--verilog", "m.v"], "--verilog must be given with --top, --latency"),
        (
            ["report", "--verilog", "m.v", "--top", "mac", "--latency", "3"],
            "verilog must be files, but 'm.v' is none",
        ),
        (["report", "--lanes", "12"], "--lanes must be powers of two in 1..64 with commas"),
        (["dots", "--tensors", "cauchy"], "--tensors must be captured, normal, an .npz"),
        (["report", "--operations", "8"], "--operations must be in 9.."),
        (["synth", "mls_mac", "--operations", "80", "--quick"], "--operations must be in 9.."),
    ],
)
def test_mistakes_are_one_line_and_exit_2(
    run, arguments: list[str], message: str, tmp_path: Path
) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "own", "others"),
    [
        (["mls_mac"], {"--format", "--acc-width", "--length"}, {"--subnormals", "--interface"}),
        (["-o", "fp32_mac", "mls_mac"], {"--format"}, {"--subnormals", "--path"}),
        (["fp32_tile"], {"--subnormals", "--interface", "--results"}, {"--format", "--length"}),
    ],
)
def test_help_of_a_unit_lists_its_own_options(
    run, arguments: list[str], own: set[str], others: set[str]
) -> None:
    shown = run("generate", *arguments, "--help").stdout.split()
    assert own <= {*shown}
    assert others.isdisjoint(shown)


def test_unknown_option_exits_2(run) -> None:
    assert run("report", "--nonsense").returncode == 2


TINY = Path(__file__).parents[1] / "data" / "power" / "tiny.liberty"


def test_pdk_shows_what_is_understood(run, tmp_path: Path) -> None:
    odd = tmp_path / "odd.lib"
    cell = "cell (ODD) { pin (A) { direction : input; } }"
    odd.write_text(TINY.read_text().replace("cell (INV)", f"{cell} cell (INV)"))
    shown = run("pdk", str(odd), "--json")
    assert (shown.returncode, shown.stderr) == (0, "")
    facts = json.loads(shown.stdout)
    assert (facts["pdk"], facts["supply_v"], facts["corner"]["name"]) == ("tiny", 2.0, "typical")
    assert (facts["cells"], facts["usable_cells"]) == (6, 4)
    assert (facts["nand2"], facts["driver"], facts["flops"]) == ("NAND2", "INV", ["DFF"])
    assert (facts["tie_high"], facts["tie_low"], facts["latches"]) == ("TIE Y", None, ["LATCH"])
    assert facts["unusable"] == {
        "cell ODD must have an area, but has none": ["ODD"],
        "latch": ["LATCH"],
    }
    assert "a full adder: adders are made of gates" in facts["missing"]
    table = run("pdk", str(odd)).stdout
    assert all(word in table for word in ("supply v", "cell ODD must have an area", "TIE Y"))


def test_pdk_of_several_files_and_of_one_that_is_refused(run, tmp_path: Path) -> None:
    head, *cells = TINY.read_text().rstrip()[:-1].split("  cell (")
    files = []
    for kind in cells:
        files.append(tmp_path / f"{kind.partition(')')[0]}.lib")
        files[-1].write_text(f"{head}  cell ({kind}}}\n")
    shown = run("pdk", *map(str, files), "--json")
    assert (shown.returncode, shown.stderr) == (0, "")
    whole = json.loads(run("pdk", str(TINY), "--json").stdout)
    assert json.loads(shown.stdout) | {"files": None} == whole | {"files": None}
    refused = run("pdk", *map(str, files[:-2]), "--json")
    assert refused.returncode == 2
    assert "must have flop descriptions" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_pdk_that_units_cannot_be_mapped_to_is_shown_all_the_same(run, tmp_path: Path) -> None:
    (tmp_path / "falling.lib").write_text(TINY.read_text().replace('on : "CK"', 'on : "!CK"'))
    done = run("pdk", "falling.lib", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["other_flops"] == ["DFF"]
    assert "DFF takes D on a rising edge of ~CK" in done.stderr
    assert done.stderr.count("\n") == 1


def test_every_liberty_file_given_counts(run, tmp_path: Path) -> None:
    """Not the last one alone."""
    (tmp_path / "copy.lib").write_text(TINY.read_text())
    files = ("--liberty", str(TINY), "--liberty", "copy.lib")
    done = run("synth", "mls_mac", *files, cwd=tmp_path)
    assert done.returncode == 2
    assert "tiny.liberty and copy.lib: cell INV must stand once, but stands twice" in done.stderr
    assert done.stderr.count("\n") == 1


def test_liberty_without_power_tables_is_refused(run, tmp_path: Path) -> None:
    cell = "cell (INV) { area : 1; pin (A) { direction : input; } }"
    (tmp_path / "bare.lib").write_text(f"library (bare) {{ {cell}\n}}\n")
    done = run("synth", "mls_mac", "--liberty", "bare.lib", cwd=tmp_path)
    assert done.returncode == 2
    assert "bare.lib must have power tables" in done.stderr
    assert done.stderr.count("\n") == 1


def test_liberty_with_a_syntax_error_is_one_line(run, tmp_path: Path) -> None:
    head = "library (x) {\n area : 1; ff (a) {} internal_power () {} cell_leakage_power : 1;\n"
    (tmp_path / "broken.lib").write_text(head + " cell (y { }\n}\n")
    done = run("synth", "mls_mac", "--liberty", "broken.lib", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "broken.lib must be a Liberty file" in done.stderr
    assert done.stderr.count("\n") == 1


def test_missing_tools_are_one_line_that_names_the_package(tmp_path: Path) -> None:
    command = [MLSMAC, "verify", "mls_mac"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env={"PATH": ""}, check=False
    )
    assert done.returncode == 1
    assert "iverilog not found: install the Debian package iverilog" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_directory_is_one_line(run, tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    done = run("generate", "mls_mac", "-o", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "Permission denied" in done.stderr


def test_output_below_a_file_is_one_line(run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("generate", "mls_mac", "-o", "file/out", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == ""


def test_report_refuses_an_unwritable_output_before_any_work(run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("report", "-o", "file/out", cwd=tmp_path)
    assert done.returncode == 2
    assert "file/out" in done.stderr


@pytest.mark.eda
def test_synth_measures_without_scales_what_is_asked_for(run, tmp_path: Path) -> None:
    unit = ("block_dot", "--format", "0,3", "--scale", "none", "--operands", "decoded")
    few = ("--lanes", "1", "--quick", "--operations", "200", "--json")
    done = run("synth", *unit, *few, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["slug"] == "block_dot_e0m3_unscaled_decoded_lanes1_window"


def test_synth_refuses_a_file_to_export_to_before_any_work(run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file", "file/out"):
        done = run("synth", "mls_mac", "--export", place, "--json", cwd=tmp_path)
        assert done.returncode == 2
        assert place in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""
    assert (tmp_path / "file").read_text() == ""


def test_generate_puts_a_tile_behind_axi(run, tmp_path: Path) -> None:
    done = run("generate", "fp8_tile", "--lanes", "1", "--interface", "axi", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["module"] == "fp8_tile_e4m3_lanes1_axi"


def test_only_tiles_have_streams(run) -> None:
    done = run("verify", "mls_mac", "--interface", "stream")
    assert done.returncode == 2
    assert "interface must be wires for mls_mac, not 'stream'" in done.stderr


def test_a_step_of_a_network_of_ones_own(run, tmp_path: Path) -> None:
    lines = ("in_channels,out_channels,kernel,stride,size", "3,8,3,1,8", "8,8,1,1,8", "8,10,1,1,1")
    (tmp_path / "net.csv").write_text("\n".join(lines))
    done = run("step", "net.csv", "--batch", "4", "--lanes", "8", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "build/step/step.json").read_text())
    assert (found["network"]["network"], found["network"]["batch"]) == ("net", 4)
    assert found["network"]["step_macs"] == 3 * 64 * 64
    assert {row["group"] for row in found["rows"]} == {"macs", "dots"}
    assert "0 % of the MACs are of 3 x 3 kernels" in done.stderr
    assert (
        "left out, since units are not measured: tiles: FP32 (FP32 flush, 8 lanes)" in done.stderr
    )
