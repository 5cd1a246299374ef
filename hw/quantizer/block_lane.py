"""Elements over their block's power-of-two scale, rounded: one lane of a block quantizer."""

from amaranth import Cat, Const, Module, Mux
from amaranth.hdl import Value
from amaranth.lib.wiring import In, Out

from ...golden.spec import BlockFormat, ElementCoding, Rounding
from ..parts.component import Component
from ..parts.values import named, registered
from .block_numbers import BlockNumbers, Grid
from .shared_exponent import FIELD_BITS


class SharedExponentLane(Component):
    """The element nearest to `x / scale`, or by R; the last element's exponent is `top`.

    How far x's exponent lies below `top` is the element's exponent field, or how far its
    significand shifts: an exact division. Nearest looks at the bit behind the element's last one
    and at whether any bit is behind it; stochastic adds R to the `random_bits` behind it and takes
    the carry. Latency 1. Source: docs/numerics.md section 16.

    Members
    -------
    number: In, of `BlockNumbers`.
    top, nan: In, of `SharedExponent`.
    random: In, R; only stochastic.
    code: Out, 0 where `nan`.
    """

    format: BlockFormat = BlockNumbers.format
    rounding: Rounding = BlockNumbers.rounding
    random_bits: int = BlockNumbers.random_bits

    def ports(self):
        self._grid = Grid.of(self.format)
        stochastic = self.rounding is Rounding.STOCHASTIC
        return {
            "number": In(self._grid.number(self.rounding, self.random_bits)),
            "top": In(FIELD_BITS),
            "nan": In(1),
            **({"random": In(self.random_bits)} if stochastic else {}),
            "code": Out(self.format.element.code_width),
        }

    latency = property(lambda self: 1, doc="Clock cycles from `number` to `code`.")
    scale_delay = property(lambda self: 0, doc="Cycles from `number` to its scale.")
    random_delay = property(lambda self: 0, doc="Cycles from `number` to R.")
    registers = property(lambda self: self.format.element.code_width, doc="Register bits: code.")

    def elaborate(self, platform):
        m = Module()
        grid = self._grid
        highest = grid.top_field
        distance = named(m, "distance", (self.top - self.number.exponent)[: FIELD_BITS + 1])
        shift = named(m, "shift", (distance - (highest - 1)).as_signed())
        normal = named(m, "normal", shift <= 0)
        value, sticky = self._shifted(m, Mux(normal, 0, shift)[: FIELD_BITS + 1])
        kept = value[-(grid.man_bits + 1) :]
        up = self._up(m, value[: -(grid.man_bits + 1)], sticky, kept[0])
        # The top bit is 0 below the binades of normal numbers alone.
        field = Mux(normal, highest - distance, 1)[: grid.exp_bits]
        below = named(m, "below", Cat(kept[:-1], field & kept[-1].replicate(grid.exp_bits)))
        full = named(m, "full", below >= grid.max_code)
        code: Value = Mux(full, grid.max_code, below + up)[: len(below)]
        sign = self.number.sign
        if self.format.element_coding is ElementCoding.INTEGER:
            signs = sign.replicate(len(code) + 1)
            code = ((Cat(code, Const(0, 1)) ^ signs) + sign)[: len(code) + 1]
        else:
            code = Cat(code, sign)
        code = code & ~self.nan.replicate(len(code))
        m.d.comb += self.code.eq(registered(m, "code_out", code))
        return m

    def _shifted(self, m: Module, shift: Value) -> tuple[Value, Value]:
        """The significand shifted right, and whether a bit of it or below it that is 1 left; zero
        where all of it leaves.
        """
        value: Value = self.number.significand
        sticky: Value = Const(0, 1)
        if self.rounding is Rounding.NEAREST:
            sticky = self.number.sticky
        width = len(value)
        far = named(m, "far", shift >= width)
        value = named(m, "near", value & ~far.replicate(width))
        for level in reversed(range((width - 1).bit_length())):
            step = 1 << level
            sticky = sticky | (shift[level] & value[:step].any())
            value = named(m, f"by{step}", Mux(shift[level], value >> step, value)[:width])
        return value, named(m, "sticky", sticky)

    def _up(self, m: Module, rest: Value, sticky: Value, odd: Value) -> Value:
        if self.rounding is Rounding.NEAREST:
            return named(m, "up", rest & (sticky | odd))
        return named(m, "up", (rest + self.random)[-1])
