# amaranth: UnusedElaboratable=no
"""The operand registers of a dot unit, with a decoder before them or none."""

from amaranth.hdl import Cat, Module, Value, unsigned
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import ElementFormat, Operands, ScaleFormat
from ..parts.component import Component, parameter
from ..parts.unsigned_multiplier import UnsignedMultiplier
from ..parts.values import named, registered
from .dot_tree import DotTree, Form
from .element_decoder import ElementDecoder, element_magnitude, negated

_LONGEST_ROWS = 8
"""Bits of q up to which partial products of decoded elements are summed, not products.

Measured at 32 lanes, pJ a product: <2,1> 7.6 instead of 8.0, <2,4> 19.9 instead of 20.8. Codes of
integers, whose negation is a carry chain in front of every row, take 22.2 instead of 17.8.
"""


class OperandRows(Component):
    """Registers of all operands and scale codes of a step; with `hold`, weights stay until `load`.

    Nothing but registers and decoders: an enable in front of a register that is optimised together
    with the logic behind it gets mixed into that logic, which then evaluates 2.6 times an update.
    Latency 1 cycle. No reset. Source: docs/numerics.md section 17.

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
        members = {"load": In(1)} if self.hold else {}
        for port, held in zip("wa", self.form.widths(self.format), strict=True):
            members[port] = In(ArrayLayout(unsigned(comes), self.count))
            members[f"{port}_row"] = Out(ArrayLayout(unsigned(held), self.count))
            if self.scale is not None:
                codes = ArrayLayout(unsigned(self.scale.code_width), self.groups)
                members |= {f"{port}_scale": In(codes), f"{port}_scale_row": Out(codes)}
        return members

    form = property(
        lambda self: held_form(self.format, self.operands, self.hold), doc="Of what is held."
    )
    latency = property(lambda self: 1, doc="Clock cycles from operands to rows.")

    @property
    def registers(self) -> int:
        """Register bits."""
        rows = ("w_row", "a_row", *(("w_scale_row", "a_scale_row") if self.scale else ()))
        return sum(len(getattr(self, row).as_value()) for row in rows)

    def elaborate(self, platform):
        m = Module()
        sources = {"w": self.w, "a": self.a}
        if self.operands is Operands.DECODER:
            decode = {
                Form.FACTORS: self._factors,
                Form.TERMS: self._terms,
                Form.INTEGERS: self._integers,
            }[self.form]
            pairs = [decode(m, lane) for lane in range(self.count)]
            sources = {
                port: Cat(values)
                for port, values in zip("wa", zip(*pairs, strict=True), strict=True)
            }
        if self.scale is not None:
            sources |= {"w_scale": self.w_scale, "a_scale": self.a_scale}
        for port, source in sources.items():
            enable = self.load if self.hold and port[0] == "w" else None
            row = registered(m, f"{port}_held", Value.cast(source), enable)
            m.d.comb += getattr(self, f"{port}_row").as_value().eq(row)
        return m

    def _integers(self, m: Module, lane: int) -> tuple[Value, Value]:
        values = []
        for port in "wa":
            m.submodules[f"{port}_decoder{lane}"] = decoder = ElementDecoder(format=self.format)
            m.d.comb += decoder.code.eq(getattr(self, port)[lane])
            values.append(decoder.value)
        return values[0], values[1]

    def _factors(self, m: Module, lane: int) -> tuple[Value, Value]:
        w, a = self.w[lane], self.a[lane]
        w_size, a_size = (
            element_magnitude(m, self.format, code, f"{port}{lane}")
            for port, code in (("w", w), ("a", a))
        )
        negative = named(m, f"negative{lane}", w[-1] ^ a[-1])
        return negated(w_size, negative), a_size

    def _terms(self, m: Module, lane: int) -> tuple[Value, Value]:
        codes, man_bits = (self.w[lane], self.a[lane]), self.format.man_bits
        m.submodules[f"multiplier{lane}"] = multiplier = UnsignedMultiplier(width=man_bits + 1)
        weights = []
        for port, code in zip((multiplier.x, multiplier.y), codes, strict=True):
            exponent = code[man_bits:-1]
            m.d.comb += port.eq(Cat(code[:man_bits], exponent.any()))
            weights.append(exponent | ~exponent.any())
        negative = named(m, f"negative{lane}", codes[0][-1] ^ codes[1][-1])
        return negated(multiplier.product, negative), weights[0] + weights[1]


def held_form(format: ElementFormat, operands: Operands, hold: bool) -> Form:
    """What the registers hold. Factors and terms have the sign of the pair; a weight that is held
    has its own.
    """
    long = format.significand_width > _LONGEST_ROWS
    if operands is Operands.CODES:
        return Form.PRODUCTS if long or not format.exp_bits else Form.CODES
    if operands is Operands.DECODED or hold:
        return Form.INTEGERS
    return Form.TERMS if long else Form.FACTORS
