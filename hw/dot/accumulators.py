# amaranth: UnusedElaboratable=no
"""What adds the scaled blocks of an output: a fixed-point number, or float32."""

from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal, Value, signed
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, Overflow
from ..floating.float_accumulator import FloatAccumulator
from ..floating.float_adder import AdderPath
from ..floating.int_to_float import IntToFloat
from ..integer.accumulator import limit_sum
from ..parts.component import Component, parameter
from ..parts.unsigned_multiplier import CompressionTree
from ..parts.values import load, named, registered

_SHIFTED_ARRIVAL = 8
"""Of a term behind its shifter, about."""


class Accumulator(Component):
    """What all have: `term[g] * 2^-(exponent[g] + unit)` of each group adds to the output's sum.

    `first`, `finish` and `last` come `ahead` cycles before their terms, as they come to the unit;
    they travel here. `z` is the sum where it is complete, and 0 elsewhere: what converts a sum, or
    reads it, then evaluates once an output, and no register holds it. No reset: `first` defines the
    state. Source: docs/numerics.md section 17.

    Members
    -------
    term: In, signed `term_width` bits, of each group.
    exponent: In, of each group; only where there are `exponent_bits`.
    first: In, the sum begins with these terms.
    finish: In, and ends with them.
    last: In, these are terms, else zeros; only where `gated`.
    z: Out, float32 code where `valid`, else 0.
    valid: Out, an output is complete.
    """

    groups: int = parameter("of a step", low=1, high=64, default=1)
    term_width: int = parameter("bits of a term", low=2, high=256)
    exponent_bits: int = parameter("bits of an exponent; 0: none", low=0, high=9)
    unit: int = parameter("a term of exponent 0 is in units of 2^-unit", low=0, high=1023)
    ahead: int = parameter("cycles by which the marks come before the terms", low=0, high=8)
    gated: bool = parameter(
        "whether the sum keeps its value where there are no terms", default=False
    )

    def ports(self):
        exponents = {"exponent": In(ArrayLayout(self.exponent_bits, self.groups))}
        return {
            "term": In(ArrayLayout(signed(self.term_width), self.groups)),
            **(exponents if self.exponent_bits else {}),
            **{mark: In(1) for mark in self._names},
            "z": Out(FP32.code_width),
            "valid": Out(1),
        }

    _names = property(lambda self: ("first", "finish", *(("last",) if self.gated else ())))

    def _marks(self, m: Module) -> tuple[Value, ...]:
        """`first`, `finish` and `last`, 1 where there is none, with their terms."""
        marks = []
        for name in self._names:
            mark = getattr(self, name)
            for cycle in range(self.ahead):
                mark = registered(m, f"{name}_{cycle}", mark)
            marks.append(mark)
        return (*marks, *(() if self.gated else (None,)))


class FixedPointSum(Accumulator):
    """`acc = (first ? 0 : acc) + sum over groups of floor(term * 2^(guard - exponent))`.

    The shift is a left one by the complement of the exponent, small steps first, of which the
    places below the accumulator are dropped: an arithmetic shift of two's complement, that is
    floor. With a flag, `overflow` tells that the sum left its `width` bits since `first`; it then
    wraps. Latency 1 cycle from terms to `z`.

    Members
    -------
    overflow: Out, of the output where `valid`, else 0; only with `flag`.
    """

    guard: int = parameter("places below the unit of a term of exponent 0", low=-256, high=1023)
    width: int = parameter("bits of the accumulator, sign included", low=2, high=1024)
    flag: bool = parameter("whether sums may overflow, and it is told", default=False)

    def rules(self):
        IntToFloat.check(**self._conversion)

    def ports(self):
        self._convert = IntToFloat(**self._conversion)
        return super().ports() | ({"overflow": Out(1)} if self.flag else {})

    @property
    def _conversion(self):
        return {"width": self.width, "exponent_width": 0, "offset": self.unit + self.guard}

    latency = property(lambda self: 1, doc="Clock cycles from terms to `z`.")

    @property
    def registers(self) -> int:
        """Register bits: the sum, the marks on their way, one with the sum, a flag."""
        return self.width + len(self._names) * self.ahead + 1 + self.flag

    def elaborate(self, platform):
        m = Module()
        m.submodules.convert = convert = self._convert
        first, finish, last = self._marks(m)
        acc = Signal(signed(self.width), reset_less=True)
        kept = named(m, "kept", Cat(bit & ~first for bit in acc).as_signed())
        terms = [self._placed(m, group) for group in range(self.groups)]
        total = self._sum(m, kept, terms)
        following, outside = limit_sum(m, total, self.width, Overflow.WRAP)
        load(m, acc, following, last)
        valid = registered(m, "finished", finish)
        m.d.comb += [
            convert.i.eq(Cat(bit & valid for bit in acc)),
            self.z.eq(convert.z),
            self.valid.eq(valid),
        ]
        if self.flag:
            sticky = Signal(reset_less=True)
            load(m, sticky, outside | (sticky & ~first), last)
            m.d.comb += self.overflow.eq(sticky & valid)
        return m

    def _placed(self, m: Module, group: int) -> Value:
        """The term in units of the accumulator, floored."""
        value: Value = self.term[group]
        reach = 0  # places that it has been shifted to the left at exponent 0
        for digit in range(self.exponent_bits):
            step = 1 << digit
            shifted = Mux(self.exponent[group][digit], value, value << step)
            value = named(m, f"group{group}_by{step}", shifted.as_signed())
            reach += step
        if reach > self.guard:
            return value[reach - self.guard :].as_signed()
        return Cat(Const(0, self.guard - reach), value).as_signed()

    def _sum(self, m: Module, kept: Value, terms: list[Value]) -> Value:
        width = self.width + self.flag
        if len(terms) == 1:
            return named(m, "total", (kept + terms[0])[:width].as_signed())
        tree = CompressionTree(m, width)
        constant = 0
        for name, value in (("kept", kept), *((f"term{g}", v) for g, v in enumerate(terms))):
            top = len(value) - 1
            arrival = 0 if name == "kept" else _SHIFTED_ARRIVAL
            for place, bit in enumerate(value):
                tree.add(place, ~bit if place == top else bit, arrival, f"{name}_{place}")
            constant -= 1 << top
        tree.add_constant(constant, "signs")
        return tree.compress().as_signed()


class Float32Sum(Accumulator):
    """`acc = fl((first ? -0 : acc) + fl(term * 2^-(exponent + unit)))`, nearest even both times.

    Latency 2 cycles from the term to `z`: converted into a register, then added. One group.
    """

    groups: int = parameter("of a step", low=1, high=1, default=1)

    def rules(self):
        IntToFloat.check(**self._conversion)

    def ports(self):
        self._convert = IntToFloat(**self._conversion)
        self._adder = FloatAccumulator(format=FP32, path=AdderPath.SINGLE)
        return super().ports()

    @property
    def _conversion(self):
        return {
            "width": self.term_width,
            "exponent_width": self.exponent_bits,
            "offset": self.unit,
        }

    latency = property(lambda self: 2, doc="Clock cycles from the term to `z`.")

    @property
    def registers(self) -> int:
        """Register bits: leaf and sum, the marks on their way."""
        marks = len(self._names)
        return 2 * FP32.code_width + marks * self.ahead + marks + 1

    def elaborate(self, platform):
        m = Module()
        m.submodules.convert = convert = self._convert
        adder = self._adder
        first, finish, *last = (
            registered(m, f"{name}_leaf", mark)
            for name, mark in zip(self._names, self._marks(m), strict=False)
        )
        m.submodules.adder = EnableInserter(last[0])(adder) if last else adder
        valid = registered(m, "finished", finish)
        m.d.comb += convert.i.eq(self.term[0])
        if self.exponent_bits:
            m.d.comb += convert.exponent.eq(self.exponent[0])
        m.d.comb += [
            adder.product.eq(registered(m, "leaf", convert.z)),
            adder.start.eq(first),
            self.z.eq(Cat(bit & valid for bit in adder.acc)),
            self.valid.eq(valid),
        ]
        return m
