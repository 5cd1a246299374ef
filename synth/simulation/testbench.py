"""Verilog and memory files of a gate-level simulation: pure functions from a netlist and vectors to
text.

The netlist is written anew with nets `n0`, `n1`, ... and cells `g0`, `g1`, ... so that no name
needs escaping in Verilog, SDF or VCD, and its ports are single bits so that the VCD holds scalars
only.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...support.words import words
from ..mapping.netlist import CONSTANT_NETS, Cell, Netlist
from ..timing.delays import ArcDelay
from .cell_models import TIMESCALE

TICKS_PER_NS = 1_000
"""Time steps of `TIMESCALE`."""

LEAD_TICKS = 1_000 * TICKS_PER_NS
"""Time before the first clock edge: by then every gate has left the X of time 0."""


def path_ticks(delays: Sequence[ArcDelay]) -> NDArray[np.int64]:
    """Ticks of a rise and of a fall through each path, to the nearest femtosecond; one at least, as
    what takes no time could pulse within a tick, which is no toggle. An edge without a delay has
    the other one's.
    """
    edges = np.array([(delay.rise_ns, delay.fall_ns) for delay in delays], float).reshape(-1, 2)
    edges = np.where(np.isnan(edges), edges[:, ::-1], edges)
    femtoseconds = np.rint(np.nan_to_num(edges) * 1e6).astype(np.int64)
    per_tick = 1_000_000 // TICKS_PER_NS
    return np.maximum((femtoseconds + per_tick // 2) // per_tick, 1)


LARGE = 8192
"""Cells up to which a netlist is one submodule."""

BLOCK = 256
"""Cells of a submodule of larger ones: for each cell that SDF names Icarus searches through all
cells and nets of a module, hours for a module of 100,000 cells. What is computed does not depend on
it (`cell_models` says what of a buffer would).
"""


class Names:
    """What the nets and the cells of a netlist are called in Verilog."""

    nets: dict[str, str]
    cells: dict[str, str]

    def net(self, name: str) -> str:
        """Verilog of a net or a constant."""
        return self.nets[name] if name in self.nets else f"1'b{CONSTANT_NETS[name]}"


class ShortNames(Names):
    """Short names in the netlist's order: `nets` net to `n<i>`, `cells` instance to `g<i>`;
    `blocks` holds the instances of each submodule `b<j>`.
    """

    def __init__(self, netlist: Netlist) -> None:
        self.nets = {net: f"n{i}" for i, net in enumerate(netlist.nets())}
        self.cells = {name: f"g{i}" for i, name in enumerate(netlist.cells)}
        own = list(netlist.cells)
        size = BLOCK if len(own) > LARGE else LARGE
        self.blocks = [own[first : first + size] for first in range(0, len(own), size)]


def unit_text(netlist: Netlist, names: ShortNames) -> str:
    """Module `unit`: the netlist under its short names, one scalar port for each net of a port, its
    cells in the modules `block<j>` of `names.blocks`.
    """
    inputs, outputs = (list(ports) for ports in _port_nets(netlist, names))
    lines = [f"{TIMESCALE}module unit({', '.join(inputs + outputs)});"]
    lines += [f"  input {net};" for net in inputs]
    lines += [f"  output {net};" for net in outputs]
    lines += [f"  wire {net};" for net in names.nets.values()]
    bodies = []
    for number, block in enumerate(names.blocks):
        cells = [netlist.cells[name] for name in block]
        nets = dict.fromkeys(net for cell in cells for net in cell.pins.values())
        ports = [names.nets[net] for net in nets if net in names.nets]
        connections = ", ".join(f".{net}({net})" for net in ports)
        lines.append(f"  block{number} b{number}({connections});")
        bodies += [f"module block{number}({', '.join(ports)});"]
        bodies += [f"  inout {net};" for net in ports]
        bodies += [line for cell in cells for line in cell_lines(cell, names)]
        bodies += ["endmodule"]
    return "\n".join([*lines, "endmodule", *bodies, ""])


def cell_lines(cell: Cell, names: Names) -> Iterator[str]:
    """A cell, after the wires that it needs."""
    own = names.cells[cell.name]
    pins = {pin: names.net(net) for pin, net in cell.pins.items()}
    for pin in repeated(cell):
        # Icarus merges the delays of two pins on one net, and SDF then finds one missing.
        yield f"  wire {own}_{pin} = {pins[pin]};"
        pins[pin] = f"{own}_{pin}"
    connections = ", ".join(f".{pin}({wire})" for pin, wire in pins.items())
    yield f"  {cell.kind} {own}({connections});"


def repeated(cell: Cell) -> list[str]:
    """Pins on a net that an earlier pin is on, which get wires of their own."""
    nets = list(cell.pins.values())
    return [pin for place, pin in enumerate(cell.pins) if nets[place] in nets[:place]]


def _port_nets(netlist: Netlist, names: ShortNames) -> tuple[dict[str, str], dict[str, str]]:
    """Ports of module `unit`: net to the bench's expression, for inputs and for outputs that no
    input drives.
    """
    inputs = {}
    for port, nets in netlist.inputs.items():
        for i, net in enumerate(nets):
            inputs[names.nets[net]] = f"in_{port}[{i}]"
    outputs = (names.nets.get(net) for nets in netlist.outputs.values() for net in nets)
    return inputs, {net: f"out_{net}" for net in outputs if net is not None and net not in inputs}


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What the bench does: the words of the ports `driven` in order, the results of the ports
    `compared` after `latency` cycles.

    `clock` is the clock port, None for a combinational unit; `half` half a period in ticks.
    `tree`: whether the clock goes through cells; `early`, `late`: ticks after which its edge comes
    to the first flop and to the last one.
    """

    clock: str | None
    half: int
    latency: int
    operations: int
    driven: Sequence[str]
    compared: Sequence[str]
    early: int = 0
    late: int = 0
    tree: bool = False


def bench_text(netlist: Netlist, names: ShortNames, bench: Bench, *, timed: bool) -> str:
    """Module `bench`; it reads `stimulus.hex` and `expected.hex`, dumps `activity.vcd`, and writes
    the file `mismatches`; `timed`: whether there are delays to annotate.
    """
    inputs, outputs = _port_nets(netlist, names)

    def bit(net: str) -> str:
        name = names.net(net)
        return inputs.get(name) or outputs.get(name) or name

    annotate = [
        f'$sdf_annotate("delays{number}.sdf", unit.b{number});'
        for number in range(len(names.blocks) if timed else 0)
    ]
    report = [
        'report = $fopen("mismatches");',
        '$fdisplay(report, "%0d", mismatches);',
    ]
    return bench_module(
        netlist,
        bench,
        unit="unit",
        connections=inputs | outputs,
        wires=[f"wire {text};" for text in outputs.values()] + ["integer report;"],
        results=[bit(net) for port in bench.compared for net in reversed(netlist.outputs[port])],
        before=[*annotate, '$dumpfile("activity.vcd");', "$dumpvars(1, unit);"],
        after=report,
    )


def bench_module(
    netlist: Netlist,
    bench: Bench,
    *,
    unit: str,
    connections: Mapping[str, str],
    wires: Iterable[str],
    results: Sequence[str],
    before: Iterable[str],
    each: Iterable[str] = (),
    after: Iterable[str],
) -> str:
    """Module `bench` around the instance `unit` of a module: every input port is driven as
    `in_<port>`, `results` are compared, the most significant first. Statements: `before` the first
    cycle, one tick before the end of `each`, and `after` the last, when `mismatches` are counted.
    """
    declarations = [
        f"wire [0:0] in_{port} = clock;"
        if port == bench.clock
        else f"reg [{len(nets) - 1}:0] in_{port} = 0;"
        for port, nets in netlist.inputs.items()
    ]
    return _BENCH.format(
        timescale=TIMESCALE,
        declarations=_lines(2, [*declarations, *wires]),
        stimulus_msb=sum(len(netlist.inputs[port]) for port in bench.driven) - 1,
        expected_msb=sum(len(netlist.outputs[port]) for port in bench.compared) - 1,
        last=bench.operations - 1,
        # The last results are compared in the cycle after, where the clock comes late to all flops.
        cycles=f"{bench.operations} + {bench.latency}{' + 1' if bench.early else ''}",
        results=", ".join(results),
        unit=unit,
        connections=", ".join(f".{net}({text})" for net, text in connections.items()),
        before=_lines(4, before),
        cycle=_lines(6, [*_edges(bench), *each]),
        after=_lines(4, after),
        lead=_ns(LEAD_TICKS),
        margin=_ns(1),
    )


def _edges(bench: Bench) -> Iterator[str]:
    """What happens in a cycle, up to one tick before its end."""
    driven = ", ".join(f"in_{port}" for port in bench.driven)
    # Behind a tree flops take their data late, and what else comes at this tick comes with it.
    assign = "=" if bench.tree else "<="
    drive = f"if (cycle < {bench.operations}) {{{driven}}} {assign} stimulus[cycle];"
    fall = f"#{_ns(bench.half - bench.late)} clock = 0;"
    if bench.early:
        yield from _compare(bench.early - 1, bench.latency + 1)
        yield f"#{_ns(bench.late - bench.early + 1)} {drive}"
        yield fall
        yield f"#{_ns(bench.half - 1)};"
    else:
        yield f"#{_ns(bench.late)} {drive}" if bench.late else drive
        yield fall
        yield from _compare(bench.half - 1, bench.latency)


def _compare(ticks: int, behind: int) -> Iterator[str]:
    yield "// After what happens at this tick."
    yield f"#{_ns(ticks)} #0 if (cycle >= {behind} && result !== expected[cycle - {behind}])"
    yield "  mismatches = mismatches + 1;"


def _lines(indent: int, statements: Iterable[str]) -> str:
    return "".join(f"{' ' * indent}{statement}\n" for statement in statements)


def _ns(ticks: int) -> str:
    return f"{ticks // TICKS_PER_NS}.{ticks % TICKS_PER_NS:03}"


_BENCH = """\
{timescale}module bench;
  reg clock = 0;
{declarations}  reg [{stimulus_msb}:0] stimulus [0:{last}];
  reg [{expected_msb}:0] expected [0:{last}];
  wire [{expected_msb}:0] result = {{{results}}};
  integer cycle, mismatches;

  {unit} unit({connections});

  initial begin
    $readmemh("stimulus.hex", stimulus);
    $readmemh("expected.hex", expected);
{before}    mismatches = 0;
    #{lead};
    for (cycle = 0; cycle < {cycles}; cycle = cycle + 1) begin
      clock = 1;
{cycle}      #{margin};
    end
{after}    $finish;
  end
endmodule
"""


def hex_words(ports: Mapping[str, NDArray], widths: Mapping[str, int]) -> str:
    """Lines for $readmemh: the words of all ports side by side, the first port most significant.

    Raises: ValueError for a code that its width does not hold.
    """
    lines = [0] * len(next(iter(ports.values())))
    for name, codes in ports.items():
        try:
            own = words(codes, widths[name])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        lines = [line << widths[name] | word for line, word in zip(lines, own, strict=True)]
    return "".join(f"{line:x}\n" for line in lines)
