"""Verilog models of standard cells made from Liberty, for gate-level simulation in Icarus.

A combinational output is one user-defined primitive, the truth table of its function: the inputs
that change at one time are seen at once. The operators of an assignment would be scheduled one by
one, and where pins stand at unlike depths the cell would glitch inside; that of a buffer would be
passed on at once, and where that reaches a reader before the path does its delay would be lost. A
flop is a primitive too, one that starts at 0: registers may have no reset, and X would never leave
a state that feeds back in simulation, although an input defines it whatever it was; so is a latch.
With `late` they see their data when all else of the tick is done: behind a clock tree an edge comes
to one flop after another, without delays at one time, and each takes what was there before. With
`specify`, each output has one unconditional path for every pin with a delay, zero until SDF is
annotated.
Source: IEEE Std 1364-2005, clauses 8 (user-defined primitives) and 14 (specify blocks).
"""

from collections.abc import Iterable, Sequence

import numpy as np

from ..liberty.boolean import Expr, Op, truth_table
from ..liberty.cells import LibertyCell, Pin
from ..liberty.library import Library

TIMESCALE = "`timescale 1ns/1ps\n"
"""Of every file of a simulation: Icarus takes SDF values in the module's unit and rounds them to
the module's precision, whatever the SDF file says. Against 100 fs, 1 ps moves the sum of all
toggles by 0.3 % at 180 nm and 1.1 % at 7 nm, and a large unit simulates 1.7 times as fast.
"""

_FLOP = """\
primitive mlsmac_flop(q, clock, data, clear, preset);
  output q;
  reg q;
  input clock, data, clear, preset;
  initial q = 1'b0;
  table
    // clock data clear preset : q : next
    ? ? 1 ? : ? : 0;
    ? ? 0 1 : ? : 1;
    (01) 0 ? 0 : ? : 0;
    (01) 1 0 ? : ? : 1;
    // Whatever else changes, even from the X of time 0, the state stays.
    (?0) ? ? ? : ? : -;
    (?x) ? ? ? : ? : -;
    (x1) ? ? ? : ? : -;
    ? * ? ? : ? : -;
    ? ? * ? : ? : -;
    ? ? ? * : ? : -;
  endtable
endprimitive
"""
_LATCH = """\
primitive mlsmac_latch(q, enable, data, clear, preset);
  output q;
  reg q;
  input enable, data, clear, preset;
  initial q = 1'b0;
  table
    // enable data clear preset : q : next
    ? ? 1 ? : ? : 0;
    ? ? 0 1 : ? : 1;
    1 0 0 0 : ? : 0;
    1 1 0 0 : ? : 1;
    0 ? 0 0 : ? : -;
    x ? 0 0 : ? : -;
  endtable
endprimitive
"""


def verilog_models(
    library: Library, kinds: Iterable[str], *, specify: bool, late: bool = False
) -> str:
    """Verilog of the cells `kinds` of `library`, in alphabetical order, after the primitives of
    flops and latches.

    `specify` adds the paths that SDF annotates; without it every cell has zero delay.
    Raises: LibertyError for a cell that is absent or incomplete.
    """
    cells = [library[kind] for kind in sorted(set(kinds))]
    stores = [_FLOP, *([_LATCH] if any(cell.latch for cell in cells) else [])]
    return TIMESCALE + "\n".join([*stores, *(_model(cell, specify, late) for cell in cells)])


def _model(cell: LibertyCell, specify: bool, late: bool) -> str:
    """The module, after the primitives that it needs."""
    inputs = [pin.name for pin in cell.inputs]
    outputs = [pin.name for pin in cell.outputs]
    lines = [f"module {cell.name}({', '.join(inputs + outputs)});"]
    lines += [f"  input {name};" for name in inputs]
    lines += [f"  output {name};" for name in outputs]
    if cell.states:
        lines += _store(cell, late)
    primitives: list[str] = []
    for pin in cell.outputs:
        assert pin.function is not None  # the library has checked it
        if pin.function.op is Op.CONSTANT:
            lines.append(f"  assign {pin.name} = {pin.function.verilog()};")
        else:
            primitive, pins = f"mlsmac_{cell.name}_{pin.name}", sorted(pin.function.pins)
            primitives += _table(primitive, pins, pin.function)
            lines.append(f"  {primitive} own_{pin.name}({pin.name}, {', '.join(pins)});")
    if specify and (paths := [path for pin in cell.outputs for path in _paths(pin)]):
        lines += ["  specify", *(f"    {path} = (0, 0);" for path in paths), "  endspecify"]
    return "\n".join([*primitives, *lines, "endmodule", ""])


def _table(name: str, pins: Sequence[str], function: Expr) -> list[str]:
    """A primitive that is the truth table of a function."""
    inputs = [f"i{number}" for number in range(len(pins))]
    values = np.broadcast_to(function.evaluate(truth_table(pins)), 1 << len(pins))
    rows = [
        f"    {' '.join(str(row >> i & 1) for i in range(len(pins)))} : {value:d};"
        for row, value in enumerate(values.tolist())
    ]
    return [
        f"primitive {name}(o, {', '.join(inputs)});",
        "  output o;",
        f"  input {', '.join(inputs)};",
        "  table",
        *rows,
        "  endtable",
        "endprimitive",
        "",
    ]


def _store(cell: LibertyCell, late: bool) -> list[str]:
    """The state and its inverse as nets of the names that the functions use."""
    if flop := cell.flop:
        primitive, arguments = "flop", (flop.clocked_on, flop.next_state, flop.clear, flop.preset)
    else:
        latch = cell.latch
        assert latch is not None
        primitive, arguments = "latch", (latch.enable, latch.data_in, latch.clear, latch.preset)
    texts = ["1'b0" if argument is None else argument.verilog() for argument in arguments]
    state, *inverses = cell.states
    lines = [f"  wire {state};", *(f"  wire {inverse} = ~{state};" for inverse in inverses)]
    if late:
        lines += [f"  wire data = {texts[1]};", *_LATE]
        texts[1] = "late"
    return [*lines, f"  mlsmac_{primitive} state({state}, {', '.join(texts)});"]


_LATE = ("  reg late;", "  initial late <= data;", "  always @(data) late <= data;")


def _paths(pin: Pin) -> list[str]:
    """Module path descriptions into one output, one from each pin with a delay."""
    return [f"({related} => {pin.name})" for related in dict.fromkeys(a.related for a in pin.arcs)]
