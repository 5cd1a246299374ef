# amaranth: UnusedElaboratable=no
"""Operands whose product changes no sum: a MAC with clock gating does not take them.

Known of the operands alone, a cycle before they are registered, so that nothing behind them moves.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from ...golden.spec import FloatFormat, Specials
from ..parts.component import Component, parameter
from ..parts.values import named


class Skip(Component):
    """`skip` = these operands change no sum. Those that begin a sum are never skipped.

    Members
    -------
    start: In, they begin a sum.
    skip: Out, combinational.
    """

    registers = property(lambda self: 0, doc="Register bits.")

    def ports(self):
        operands = {port: In(width) for port, width in self.operand_widths.items()}
        return {**operands, "start": In(1), "skip": Out(1)}

    @property
    def operand_widths(self) -> dict[str, int]:
        """Of the operand ports."""
        raise NotImplementedError


class ZeroFactor(Skip):
    """Of exact products in a fixed-point sum: one of the operands is zero.

    Members
    -------
    w, a: In, operands, those that there are, and zero points likewise.
    """

    operand_widths: dict = parameter("bits of each operand port, by name")
    has_sign: bool = parameter("whether the top bit of an operand is a sign, of zeros too")

    def elaborate(self, platform):
        m = Module()
        zeros = []
        for port in ("w", "a"):
            if port in self.operand_widths:
                code = getattr(self, port)
                point = f"{port}_zero"
                if point in self.operand_widths:
                    code = code ^ getattr(self, point)
                zeros.append(~(code[:-1] if self.has_sign else code).any())
        m.d.comb += self.skip.eq(Cat(zeros).any() & ~self.start)
        return m


class ZeroFloat(Skip):
    """Of floating-point numbers: one of the operands is zero, the other finite, and the sum is such
    that their signed zero leaves it: -0 leaves every sum, +0 all but -0.

    A register knows of the sum that it cannot be -0, which only `(-0) + (-0)` and what is flushed
    are: the latest product was +0, or, with `lasting`, one since `start`, and with `exact` any that
    was not zero. In a fixed-point sum zeros have no sign: `plain`.

    Members
    -------
    w, a: In, operands.
    """

    format: FloatFormat = parameter("of both operands")
    subnormals: bool = parameter("whether the operands' subnormals are not zeros")
    plain: bool = parameter("whether a zero of either sign leaves the sum", default=False)
    lasting: bool = parameter(
        "whether a sum that is not -0 never becomes it: none is flushed", default=False
    )
    exact: bool = parameter("whether no product but that of a zero is zero", default=False)

    operand_widths = property(
        lambda self: dict.fromkeys("wa", self.format.code_width), doc="Of the operand ports."
    )
    registers = property(lambda self: 0 if self.plain else 1, doc="Register bits.")

    def elaborate(self, platform):
        m = Module()
        zeros = [self._is_zero(code) for code in (self.w, self.a)]
        finite = [self._is_finite(code) for code in (self.w, self.a)]
        zero = named(m, "zero", (zeros[0] & finite[1]) | (zeros[1] & finite[0]))
        if self.plain:
            m.d.comb += self.skip.eq(zero & ~self.start)
            return m
        negative = self.w[-1] ^ self.a[-1]
        settled = Signal(reset_less=True)
        m.d.comb += self.skip.eq(zero & (negative | settled) & ~self.start)
        settles = Mux(zero, ~negative, int(self.exact and self.lasting))
        with m.If(~self.skip):
            m.d.sync += settled.eq(settles | (settled & ~self.start if self.lasting else 0))
        return m

    def _is_zero(self, code: Value) -> Value:
        return ~code[0 if self.subnormals else self.format.man_bits : -1].any()

    def _is_finite(self, code: Value) -> Value:
        ieee = self.format.specials is Specials.IEEE
        return ~code[self.format.man_bits if ieee else 0 : -1].all()
