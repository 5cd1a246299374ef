"""The packages that `mlsmac generate --core` writes, in FuseSoC itself."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

SLUG = "mls_mac_e2m1_acc12_saturate"
CORE = f"mlsmac:generated:{SLUG}"


def run(cwd: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a module of this environment."""
    whole = [sys.executable, "-m", *command]
    return subprocess.run(whole, cwd=cwd, capture_output=True, text=True, check=False)


def fusesoc(folder: Path, *arguments: str) -> str:
    """What FuseSoC printed about the cores of a folder; it must succeed."""
    done = run(folder, "fusesoc.main", "--cores-root", str(folder), *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def generated(folder: Path, *options: str) -> Path:
    """The folder, with a unit generated into it."""
    unit = ("mlsmac", "generate", "mls_mac", "--format", "2,1", "--acc-width", "12", "--core")
    done = run(folder, *unit, *options)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def benched(tmp_path: Path) -> Path:
    return generated(tmp_path, "--testbench", "--operations", "300")


def test_fusesoc_runs_the_bench(benched: Path) -> None:
    printed = fusesoc(benched, "core-info", CORE)
    for target in ("default", "lint", "sim", "sim_verilator"):
        assert f"\n{target} " in printed
    assert f"PASS: {SLUG}: 300 steps, 600 outputs" in fusesoc(benched, "run", "--target=sim", CORE)


def test_fusesoc_runs_a_bench_that_fails(benched: Path) -> None:
    expected = benched / f"{SLUG}.acc.hex"
    words = expected.read_text().split()
    expected.write_text("\n".join([*words[:-1], f"{int(words[-1], 16) ^ 1:x}", ""]))
    printed = fusesoc(benched, "run", "--target=sim", CORE)
    assert f"FAIL: {SLUG}: 1 of 600 outputs are wrong" in printed


def test_without_a_bench_there_is_nothing_to_simulate(tmp_path: Path) -> None:
    printed = fusesoc(generated(tmp_path), "core-info", CORE)
    assert "default " in printed
    assert "sim" not in printed.partition("Targets:")[2]
    manifest = yaml.safe_load((tmp_path / "Bender.yml").read_text())
    assert manifest["sources"] == [{"files": [f"{SLUG}.v"]}]


def test_manifest_of_bender(benched: Path) -> None:
    """The keys that Bender's manifest has, and files that are there."""
    manifest = yaml.safe_load((benched / "Bender.yml").read_text())
    assert set(manifest) == {"package", "sources"}
    assert set(manifest["package"]) == {"name", "description"}
    assert manifest["package"]["name"] == SLUG
    assert manifest["sources"] == [
        {"files": [f"{SLUG}.v"]},
        {"target": "simulation", "files": [f"{SLUG}_tb.v"]},
    ]
    for source in manifest["sources"]:
        assert all((benched / name).is_file() for name in source["files"])
