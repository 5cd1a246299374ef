"""`mlsmac power`: a small netlist to figures, and one line where a request is wrong."""

import json
from functools import partial
from pathlib import Path

import pytest

TINY = Path(__file__).parents[1] / "data" / "power" / "tiny.liberty"
NETLIST = """module top(input clk, input d, output q);
  wire n;
  INV \\part.u0 (.A(d), .Y(n));
  DFF \\part.f0 (.CK(clk), .D(n), .Q(q));
endmodule
"""
SAIF = """(SAIFILE (TIMESCALE 1 ns) (DURATION 100) (INSTANCE top (NET
  (clk (T1 50) (TC 20)) (d (T1 40) (TC 6)) (n (T1 60) (TC 6)) (q (T1 60) (TC 5)))))
"""


@pytest.fixture
def power(run, tmp_path: Path):
    """A function that runs the command where the files are."""
    (tmp_path / "top.v").write_text(NETLIST)
    (tmp_path / "top.saif").write_text(SAIF)
    return partial(run, "power", cwd=tmp_path)


def test_figures_of_a_netlist(power, tmp_path: Path) -> None:
    given = ("top.v", "--liberty", str(TINY), "--saif", "top.saif", "--operations", "5")
    done = power(*given, "--json", "-o", "power.json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert json.loads((tmp_path / "power.json").read_text()) == found
    assert "power.json" in done.stderr
    parts = sum(found[f"{part}_uw"] for part in ("internal", "switching", "leakage"))
    assert parts == pytest.approx(found["total_uw"], rel=1e-5)
    # 20 toggles of the clock in 100 ns, 0.5 pF, 2 V.
    clock = next(own for own in found["groups"] if own["group"] == "clock")
    assert clock["total_uw"] == pytest.approx(20 / 100e-9 * 0.5 * 0.5e-12 * 4 * 1e6)
    assert found["energy_pj"] == pytest.approx(found["total_uw"] * 100e-3, rel=1e-5)
    assert found["energy_pj_per_operation"] == pytest.approx(found["energy_pj"] / 5, rel=1e-5)
    assert [own["path"] for own in found["hierarchy"]] == ["part"]
    assert {own["instance"] for own in found["instances"]} == {"part.u0", "part.f0"}
    text = power(*given).stdout
    assert "By hierarchy" in text
    assert "part.f0" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["top.v"], "the activity must be one of --vcd and --saif"),
        (["top.v", "--saif", "a", "--vcd", "b"], "the activity must be one of --vcd and --saif"),
        (["top.v", "--saif", "none.saif"], "none.saif: no such file"),
        (["none.v", "--saif", "top.saif"], "none.v: no such file"),
        (
            ["top.v", "--saif", "top.saif", "--window", "1,2"],
            "--window must be of a --vcd: a SAIF has no times",
        ),
        (["top.v", "--vcd", "top.saif", "--window", "1"], "--window must be two times in ns"),
        (["top.v", "--saif", "top.saif", "--operations", "0"], "--operations must be in 1.."),
        (["top.v", "--vcd", "top.saif"], "the dump must contain $enddefinitions"),
        (["top.saif", "--saif", "top.saif"], "top.saif must be a Verilog netlist"),
    ],
)
def test_a_wrong_request_is_one_line_and_2(power, arguments: list[str], message: str) -> None:
    done = power(*arguments, "--liberty", str(TINY))
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
