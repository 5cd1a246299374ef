# amaranth: UnusedElaboratable=no
"""The operand registers of a dot unit, with a decoder before them or none."""

from typing import Any

from amaranth.hdl import Cat, Module, Value, unsigned
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import ElementFormat, Operands, ScaleFormat
from ..parts.component import Component, parameter
from ..parts.values import registered
from .dot_tree import DotTree
from .element_decoder import ElementDecoder


class OperandRows(Component):
    """Registers of all operands and scale codes of a step; with `hold`, weights stay until `load`.

    Nothing but registers and decoders: an enable in front of a register that is optimised together
    with the logic behind it gets mixed into that logic, which then evaluates 2.6 times an update.
    Latency 1 cycle. No reset. Source: docs/numerics.md section 16.

    Members
    -------
    w, a: In, `groups * lanes` operands each.
    w_scale, a_scale: In, `groups` scale codes each; only with `scale`.
    load: In, take weights and their scales; only with `hold`.
    w_row, a_row, w_scale_row, a_scale_row: Out, the registers, operands as the dot takes them.
    """

    format: ElementFormat = DotTree.format
    operands: Operands = parameter("what comes and what is held", default=Operands.CODES)
    count: int = parameter("pairs of a step", low=1, high=1 << 16)
    groups: int = parameter("of a step", low=1, high=64, default=1)
    scale: ScaleFormat | None = parameter("of both group scales; None: no scales", default=None)
    hold: bool = parameter("whether weights are loaded and then held", default=False)

    def ports(self):
        code, integer = self.format.code_width, self.format.significand_width + 1
        comes = integer if self.operands is Operands.DECODED else code
        held = code if self.operands is Operands.CODES else integer
        members = {"load": In(1)} if self.hold else {}
        for port in "wa":
            members[port] = In(ArrayLayout(unsigned(comes), self.count))
            members[f"{port}_row"] = Out(ArrayLayout(unsigned(held), self.count))
            if self.scale is not None:
                codes = ArrayLayout(unsigned(self.scale.code_width), self.groups)
                members |= {f"{port}_scale": In(codes), f"{port}_scale_row": Out(codes)}
        return members

    latency = property(lambda self: 1, doc="Clock cycles from operands to rows.")

    @property
    def registers(self) -> int:
        """Register bits."""
        rows = ("w_row", "a_row", *(("w_scale_row", "a_scale_row") if self.scale else ()))
        return sum(len(getattr(self, row).as_value()) for row in rows)

    def elaborate(self, platform):
        m = Module()
        for port in "wa":
            enable = self.load if self.hold and port == "w" else None
            values = getattr(self, port)
            if self.operands is Operands.DECODER:
                values = self._decoded(m, port, values)
            for name in (port, f"{port}_scale") if self.scale is not None else (port,):
                source = values if name == port else getattr(self, name)
                row = registered(m, f"{name}_held", Value.cast(source), enable)
                m.d.comb += getattr(self, f"{name}_row").as_value().eq(row)
        return m

    def _decoded(self, m: Module, port: str, codes: Any) -> Value:
        values = []
        for lane in range(self.count):
            m.submodules[f"{port}_decoder{lane}"] = decoder = ElementDecoder(format=self.format)
            m.d.comb += decoder.code.eq(codes[lane])
            values.append(decoder.value)
        return Cat(values)
