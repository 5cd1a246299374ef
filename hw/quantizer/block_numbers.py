"""What the rounding of a float32 number to a block's element reads of it."""

from dataclasses import dataclass

from amaranth import Cat, Module, Mux
from amaranth.hdl import Shape, Value, signed, unsigned
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, BlockFormat, ElementCoding, Rounding
from ..parts.component import Component, parameter
from ..parts.values import named
from .tensor_statistics import TensorStatistics


@dataclass(frozen=True)
class Grid:
    """The magnitudes of a block format's elements as floating-point numbers.

    An MXINT8 magnitude is one of `<1,6>`: its top bit is the exponent field.

    Members: `exp_bits`, `man_bits`; `top_exp`, floor(log2) of the largest element; `max_code`.
    """

    exp_bits: int
    man_bits: int
    top_exp: int
    max_code: int

    @classmethod
    def of(cls, format: BlockFormat) -> "Grid":
        element = format.element
        if format.element_coding is ElementCoding.INTEGER:
            return cls(1, element.man_bits - 1, 0, format.max_code)
        top_exp = 1 << (element.exp_bits - 1)
        return cls(element.exp_bits, element.man_bits, top_exp, format.max_code)

    @property
    def places(self) -> int:
        """How many leading zeros of a subnormal float32 number can lie above the smallest normal
        element, with the smallest scale, 2^-127; a power of two less 1.
        """
        return self.top_field - self.top_exp

    @property
    def top_field(self) -> int:
        """The largest exponent field."""
        return (1 << self.exp_bits) - 1

    def number(self, rounding: Rounding, random_bits: int) -> StructLayout:
        """What is kept of a number: sign; significand, the top bit that of 2^0; `exponent`, biased
        by 127; nearest: whether any bit below is 1.

        Of the fraction the element's bits and the one after them, stochastic `random_bits` after
        them.
        """
        nearest = rounding is Rounding.NEAREST
        fraction = self.man_bits + (1 if nearest else random_bits)
        wide = self.places > 1
        return StructLayout(
            {
                "significand": unsigned(1 + fraction),
                **({"sticky": unsigned(1)} if nearest else {}),
                "exponent": signed(9) if wide else unsigned(8),
                "sign": unsigned(1),
            }
        )


class BlockNumbers(Component):
    """float32 numbers as `Grid.number`; subnormal ones normalised as far as elements reach.

    Combinational. Members: `x`: In, array of float32 codes; `numbers`: Out, array of them.
    Source: docs/numerics.md section 16.
    """

    format: BlockFormat = parameter("of the elements")
    lanes: int = TensorStatistics.lanes
    rounding: Rounding = parameter("nearest, ties to even, or stochastic", default=Rounding.NEAREST)
    random_bits: int = parameter("k, bits of R, where stochastic", low=1, high=16, default=8)

    def ports(self):
        self._grid = Grid.of(self.format)
        self.layout = self._grid.number(self.rounding, self.random_bits)
        return {
            "x": In(ArrayLayout(FP32.code_width, self.lanes)),
            "numbers": Out(ArrayLayout(self.layout, self.lanes)),
        }

    width = property(lambda self: Shape.cast(self.layout).width, doc="Bits of a number.")
    latency = property(lambda self: 0, doc="Combinational.")
    registers = property(lambda self: 0, doc="None.")

    def elaborate(self, platform):
        m = Module()
        for lane in range(self.lanes):
            self._shorten(m, f"x{lane}", self.x[lane], self.numbers[lane])
        return m

    def _shorten(self, m, name, x, number):
        field = x[FP32.man_bits : -1]
        hidden = named(m, f"{name}_hidden", field.any())
        value: Value = Cat(x[: FP32.man_bits], hidden)
        zeros: list[Value] = []
        for level in reversed(range(self._grid.places.bit_length())):
            step = 1 << level
            empty = named(m, f"{name}_empty{step}", ~value[-step:].any())
            value = named(m, f"{name}_by{step}", Mux(empty, value << step, value)[: len(value)])
            zeros.insert(0, empty)
        low = (1 - Cat(zeros)).as_signed() if zeros else 1
        kept = len(number.significand)
        below = len(value) - kept
        m.d.comb += [
            number.sign.eq(x[-1]),
            number.exponent.eq(Mux(hidden, field, low)),
            number.significand.eq(value[below:]),
        ]
        if self.rounding is Rounding.NEAREST:
            m.d.comb += number.sticky.eq(value[:below].any())
