"""A simulation for other tools: the netlist under legal names with its ports as they are, and a
bench that runs without this project. Pure functions to text.

Source: IEEE Std 1364-2005.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ..mapping.netlist import CONSTANT_NETS, Netlist
from .cell_models import TIMESCALE
from .testbench import Bench, Names, bench_module, cell_lines, repeated

INSTANCE = "unit"
"""Of the netlist in the bench."""

_LEGAL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# No keyword of Verilog or SystemVerilog has a capital, two `_` in a row, or one at its end.
_LIKE_A_KEYWORD = re.compile(r"(?!.*__)[a-z_]{2,}[01]?")


class LegalNames(Names):
    """Names that need no escape anywhere: bits of ports `port[i]`, all else the netlist's own with
    `__` for a `.` and `_` for what is not allowed, numbered where two would be one.

    Raises: ValueError for ports, pins or library cells whose own names need one.
    """

    def __init__(self, netlist: Netlist) -> None:
        cells = netlist.cells.values()
        pins = (pin for cell in cells for pin in cell.pins)
        ports = (*netlist.inputs, *netlist.outputs)
        given = dict.fromkeys((netlist.top, *ports, *pins, *(cell.kind for cell in cells)))
        if illegal := [name for name in given if not _LEGAL.fullmatch(name)]:
            raise ValueError(f"names must be plain Verilog identifiers, not {illegal[0]!r}")
        self._used = set(given)
        self.nets = {}
        for port, nets in (netlist.inputs | netlist.outputs).items():
            for place, net in enumerate(nets):
                if net not in CONSTANT_NETS:
                    self.nets.setdefault(net, port_bit(port, nets, place))
        self.cells = {cell.name: self._new(cell.name, repeated(cell)) for cell in cells}
        for cell in cells:
            for net in cell.pins.values():
                if net not in self.nets and net not in CONSTANT_NETS:
                    self.nets[net] = self._new(net)

    def _new(self, name: str, pins: Iterable[str] = ()) -> str:
        """A free name; of a cell, one of which the wires of `pins` are free too."""
        base = re.sub(r"[^A-Za-z0-9_]+", "_", name.replace(".", "__")).rstrip("_")
        if not _LEGAL.fullmatch(base):
            base = f"x_{base}"
        if _LIKE_A_KEYWORD.fullmatch(base):
            base += "_"
        own, number = base, 1
        while self._used & (taken := {own, *(f"{own}_{pin}" for pin in pins)}):
            number += 1
            own = f"{base}_{number}"
        self._used |= taken
        return own


def port_bit(port: str, nets: list[str], place: int) -> str:
    """A bit of a port, which is no vector if it has one."""
    return f"{port}[{place}]" if len(nets) > 1 else port


def flat_text(netlist: Netlist, names: LegalNames) -> str:
    """The netlist as one module of library cells, ports as vectors."""
    ports = (*netlist.inputs, *netlist.outputs)
    lines = [f"{TIMESCALE}module {netlist.top}({', '.join(ports)});"]
    for direction, group in (("input", netlist.inputs), ("output", netlist.outputs)):
        for port, nets in group.items():
            width = f"[{len(nets) - 1}:0] " if len(nets) > 1 else ""
            lines.append(f"  {direction} {width}{port};")
    own = {port_bit(*bit) for bit in _bits(netlist.inputs | netlist.outputs)}
    lines += [f"  wire {name};" for name in names.nets.values() if name not in own]
    for cell in netlist.cells.values():
        lines += cell_lines(cell, names)
    for port, nets, place in _bits(netlist.outputs):
        bit, driver = port_bit(port, nets, place), names.net(nets[place])
        if bit != driver:
            lines.append(f"  assign {bit} = {driver};")
    return "\n".join([*lines, "endmodule", ""])


def _bits(ports: Mapping[str, list[str]]) -> Iterator[tuple[str, list[str], int]]:
    for port, nets in ports.items():
        for place in range(len(nets)):
            yield port, nets, place


def portable_bench(netlist: Netlist, bench: Bench, warm_up: int) -> str:
    """Module `bench`, which prints PASS or FAIL with numbers; `+sdf` annotates `<top>.sdf`, `+vcd`
    dumps the nets to `<top>.vcd` in the window that begins with cycle `warm_up`, 1 or more.

    The dump begins and ends a tick before the window does: a dump tells what stands at the end of
    the time with which it begins, and of the window's first edge it must tell the change. Results
    are compared before the clock's edge at the port, however long its tree takes.
    """
    if warm_up < 1:
        raise ValueError(f"warm_up must be at least 1, not {warm_up!r}")
    top, bench = netlist.top, replace(bench, early=0)
    count = bench.operations
    return bench_module(
        netlist,
        bench,
        unit=top,
        connections={port: f"in_{port}" for port in netlist.inputs}
        | {port: f"out_{port}" for port in netlist.outputs},
        wires=[f"wire [{len(nets) - 1}:0] out_{port};" for port, nets in netlist.outputs.items()],
        results=[f"out_{port}" for port in bench.compared],
        before=[
            f'if ($test$plusargs("sdf")) $sdf_annotate("{top}.sdf", {INSTANCE});',
            f'if ($test$plusargs("vcd")) $dumpfile("{top}.vcd");',
        ],
        each=[
            f'if (cycle + 1 == {warm_up} && $test$plusargs("vcd")) $dumpvars(1, {INSTANCE});',
            f'if (cycle + 1 == {count} && $test$plusargs("vcd")) $dumpoff;',
        ],
        after=[
            f'if (mismatches == 0) $display("PASS: {count} results are as expected");',
            f'else $display("FAIL: %0d of {count} results differ", mismatches);',
        ],
    )
