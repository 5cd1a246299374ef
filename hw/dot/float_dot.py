# amaranth: UnusedElaboratable=no
"""A dot unit of floating-point numbers: products aligned to the largest, one rounding a step."""

from amaranth.hdl import Cat, Const, Module, Mux, Value, signed, unsigned
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, FloatFormat, Specials
from ..floating.float_accumulator import FloatAccumulator
from ..floating.float_adder import AdderPath
from ..floating.float_common import encode, normalise, round_nearest_even
from ..floating.float_product import FloatProduct
from ..parts.component import Component, parameter
from ..parts.stepped import Stepped
from ..parts.unsigned_multiplier import CompressionTree, Recoding, UnsignedMultiplier
from ..parts.values import named, registered

_ALIGNED_ARRIVAL = 8
"""Of a bit behind its shifter, about."""

_FLAGS = ("nan", "up", "down")


class ProductRows(Component):
    """Exact products of a step, held, with their distances from the largest exponent.

    What shifts them then sees settled numbers alone: while multipliers settle, exponents are added,
    compared and subtracted, which in the shifters' cycle would move every lane's shift again and
    again (measured for 8 lanes of FP32: three quarters of the alignment's energy were glitches).
    Latency 1 cycle. No reset. Source: docs/numerics.md section 18.

    Members
    -------
    w, a: In, `lanes` codes each.
    significands: Out, of each lane's product, 2M + 2 bits.
    negative: Out, of each lane: the product is below zero.
    distances: Out, of each lane: places to shift it to the right, all ones for any number more.
    top: Out, E + 1 bits, the largest sum of exponent fields, 0 where all products are zero.
    nan, up, down: Out, a product is NaN (or infinities of both signs are there), +-infinity.
    """

    format: FloatFormat = FloatProduct.format
    lanes: int = parameter("products of a step", low=1, high=64)
    recoding: Recoding = UnsignedMultiplier.recoding

    def ports(self):
        width = 2 * self.format.significand_width
        operands = In(ArrayLayout(unsigned(self.format.code_width), self.lanes))
        return {
            "w": operands,
            "a": operands,
            "significands": Out(ArrayLayout(unsigned(width), self.lanes)),
            "negative": Out(self.lanes),
            "distances": Out(ArrayLayout(unsigned(width.bit_length()), self.lanes)),
            "top": Out(self.format.exp_bits + 1),
            **{flag: Out(1) for flag in _FLAGS},
        }

    latency = property(lambda self: 1, doc="Clock cycles from operands to products.")

    @property
    def registers(self) -> int:
        """Register bits: all outputs."""
        rows = (self.significands.as_value(), self.distances.as_value(), self.negative, self.top)
        return sum(map(len, rows)) + len(_FLAGS)

    def elaborate(self, platform):
        m = Module()
        parts = []
        for lane in range(self.lanes):
            m.submodules[f"product{lane}"] = multiplier = FloatProduct(
                format=self.format, subnormals=False, recoding=self.recoding
            )
            m.d.comb += [multiplier.x.eq(self.w[lane]), multiplier.y.eq(self.a[lane])]
            parts.append(FloatProduct.split(multiplier.product, self.format))
        top = _largest(m, [part.exponent for part in parts])
        flags: dict[str, list[Value]] = {flag: [] for flag in _FLAGS}
        rows: dict[str, list[Value]] = {"significands": [], "distances": [], "negative": []}
        steps = self.distances.shape().elem_shape.width
        for lane, part in enumerate(parts):
            distance = named(m, f"distance{lane}", (top - part.exponent)[: len(top)])
            far = distance[steps:].any()
            rows["significands"].append(part.significand)
            rows["distances"].append(Cat(bit | far for bit in distance[:steps]))
            rows["negative"].append(part.sign & ~part.zero)
            infinite = part.infinite if part.infinite is not None else Const(0, 1)
            flags["nan"].append(part.nan)
            flags["up"].append(infinite & ~part.nan & ~part.sign)
            flags["down"].append(infinite & ~part.nan & part.sign)
        found: dict[str, Value] = {}
        found |= {flag: named(m, f"any_{flag}", Cat(bits).any()) for flag, bits in flags.items()}
        found["nan"] = found["nan"] | (found["up"] & found["down"])
        held = {**{port: Cat(values) for port, values in rows.items()}, "top": top, **found}
        for port, value in held.items():
            row = registered(m, f"{port}_row", value)
            m.d.comb += Value.cast(getattr(self, port)).eq(row)
        return m


def _largest(m: Module, values: list[Value]) -> Value:
    """The largest of unsigned values: a balanced tree of comparators."""
    level = 0
    while len(values) > 1:
        pairs = zip(values[::2], values[1::2], strict=False)
        larger = [named(m, f"top{level}_{k}", Mux(x > y, x, y)) for k, (x, y) in enumerate(pairs)]
        values = [*larger, *values[2 * len(larger) :]]
        level += 1
    return values[0]


class AlignedDot(Component):
    """`total = sum over lanes of floor(product / u)`, exact.

    u is `2^-guard_bits` of the last place of a product of the largest exponent: a right shift by
    the distance from it, in two's complement, all lanes in one compression tree.
    Latency 1 cycle. No reset. Source: docs/numerics.md section 18.

    Members
    -------
    significands, negative, distances, top, nan, up, down: In, of `ProductRows`.
    total: Out, signed.
    total_top, total_nan, total_up, total_down: Out, with it: what came with its products.
    """

    format: FloatFormat = FloatProduct.format
    lanes: int = ProductRows.lanes
    guard_bits: int = parameter("below the last place of a largest product", low=0, high=16)

    def ports(self):
        rows = ProductRows(format=self.format, lanes=self.lanes).signature.members
        fed = {port: In(member.shape) for port, member in rows.items() if port not in ("w", "a")}
        return {
            **fed,
            "total": Out(signed(self.term_width + (self.lanes - 1).bit_length())),
            **{f"total_{port}": Out(fed[port].shape) for port in ("top", *_FLAGS)},
        }

    term_width = property(
        lambda self: self.format.man_bits + 2 + self.guard_bits + 1, doc="Bits of a term, signed."
    )
    latency = property(lambda self: 1, doc="Clock cycles from products to `total`.")
    registers = property(
        lambda self: len(self.total) + len(self.top) + len(_FLAGS),
        doc="Register bits: sum, exponent, flags.",
    )

    def elaborate(self, platform):
        m = Module()
        tree = CompressionTree(m, len(self.total))
        constant = 0
        for lane in range(self.lanes):
            term, increment = self._aligned(m, lane)
            for place, bit in enumerate(term):
                sign = place == len(term) - 1
                tree.add(place, ~bit if sign else bit, _ALIGNED_ARRIVAL, f"lane{lane}_{place}")
            tree.add(0, increment, _ALIGNED_ARRIVAL, f"lane{lane}_increment")
            constant -= 1 << (len(term) - 1)
        tree.add_constant(constant, "signs")
        m.d.comb += self.total.eq(registered(m, "total_row", tree.compress()))
        for port in ("top", *_FLAGS):
            row = registered(m, f"{port}_row", getattr(self, port))
            m.d.comb += getattr(self, f"total_{port}").eq(row)
        return m

    def _aligned(self, m: Module, lane: int) -> tuple[Value, Value]:
        """floor(signed product / u), less what is added to it: of a negative one the complement,
        and one where nothing was dropped.
        """
        longer = max(self.guard_bits - self.format.man_bits, 0)
        value: Value = Cat(Const(0, longer), self.significands[lane])
        dropped: Value = Const(0, 1)
        for bit, select in enumerate(self.distances[lane]):
            step, name = 1 << bit, f"lane{lane}"
            dropped = named(m, f"{name}_dropped{bit}", dropped | (select & value[:step].any()))
            value = named(m, f"{name}_by{step}", Mux(select, value >> step, value)[: len(value)])
        cut = max(self.format.man_bits - self.guard_bits, 0)
        dropped = named(m, f"lane{lane}_dropped", dropped | value[:cut].any())
        negative = self.negative[lane]
        size = value[cut:]
        term = named(m, f"lane{lane}_term", Cat(size ^ negative.replicate(len(size)), negative))
        return term, negative & ~dropped


class AlignedFloatSum(Component):
    """`acc = fl((first ? -0 : acc) + fl(total * u))` in float32, flushing; the step's sum, rounded,
    is held between. A `z` of zero is +0, whatever idle steps did to its sign.

    Latency 2 cycles. No reset: `first` defines the state. Source: docs/numerics.md section 18.

    Members
    -------
    total, top, nan, up, down: In, `total` and what came with it, of `AlignedDot`.
    first, finish: In, two cycles ahead of them.
    z: Out, float32 code where `valid`, else 0.
    valid: Out, an output is complete.
    """

    dot: AlignedDot = parameter("what it adds up")

    def ports(self):
        self._adder = FloatAccumulator(format=FP32, subnormals=False, path=AdderPath.SINGLE)
        members = self.dot.signature.members
        fed = ("total", "top", *_FLAGS)
        return {
            **{port: In(members[port].shape) for port in fed},
            "first": In(1),
            "finish": In(1),
            "z": Out(FP32.code_width),
            "valid": Out(1),
        }

    latency = property(lambda self: 2, doc="Clock cycles from `total` to `z`.")
    registers = property(
        lambda self: 2 * FP32.code_width + 2 * 3 + 1, doc="Register bits: leaf, sum, marks."
    )

    def elaborate(self, platform):
        m = Module()
        m.submodules.adder = adder = self._adder
        first, finish = self.first, self.finish
        for cycle in range(3):
            first = registered(m, f"first_{cycle}", first)
            finish = registered(m, f"finish_{cycle}", finish)
        valid = registered(m, "finished", finish)
        size, sign = adder.acc[:-1], adder.acc[-1]
        nonzero = size[FP32.man_bits :].any()  # subnormals are flushed
        m.d.comb += [
            adder.product.eq(registered(m, "leaf", self._rounded(m))),
            adder.start.eq(first),
            self.z.eq(Cat(*(bit & valid for bit in size), sign & nonzero & valid)),
            self.valid.eq(valid),
        ]
        return m

    def _rounded(self, m: Module) -> Value:
        """The code of `total * u`."""
        format, guard = self.dot.format, self.dot.guard_bits
        width, negative = len(self.total), self.total[-1]
        flipped = self.total.as_unsigned() ^ negative.replicate(width)
        size = named(m, "size", (flipped + negative)[:width])
        steps = (width - 1).bit_length()
        kept, sticky, amount = normalise(
            m,
            size,
            Const(0, 1),
            out_width=FP32.man_bits + 2,
            limit=Const(0, steps),
            unlimited=Const(1, 1),
            steps=steps,
            enable=Const(1, 1),
            always=0,
            isolate=False,
            name="normal",
        )
        # u is 2^(top - 2 bias - M - guard); field, less one, of the top bit of `size`.
        offset = width - 1 - format.man_bits - guard - 2 * format.bias + FP32.bias - 1
        reach = (2 << format.exp_bits) + abs(offset) + (1 << steps)
        base = named(
            m, "base", (self.top + Const(offset, signed(12)) - amount)[: reach.bit_length() + 1]
        )
        hidden = kept[-1]
        code = round_nearest_even(m, kept[1:-1], kept[0], sticky, base, hidden, name="rounded")
        field = code[FP32.man_bits :][: len(base)].as_signed()
        zero = named(m, "zero", ~hidden | (field <= 0))
        largest = 2 * ((1 << format.exp_bits) - 2) + offset + 1
        bits = max(largest, 1).bit_length()
        kept_field = named(m, "field", field[:bits] & (~zero).replicate(bits))
        infinite = named(m, "infinite", (self.up | self.down) & ~self.nan)
        sign = Mux(infinite, self.down, negative)
        return encode(
            m,
            FP32,
            sign=sign,
            code=Cat(code[: FP32.man_bits], kept_field),
            largest_exponent=largest,
            zero=zero,
            infinity=infinite,
            nan=self.nan,
        )


class FloatDot(Stepped):
    """`acc = fl((first ? -0 : acc) + fl(sum over lanes of w * a))`, sums in float32.

        products -[- align to the largest, add -[- round -[- add -[- z

    Products are exact, the step's sum drops what is below u and rounds once, the adder once more;
    subnormals are flushed. Latency 4 cycles, throughput one step a cycle. No reset: `first` defines
    the state; an idle step is fed zeros. Source: docs/numerics.md section 18.

    Members
    -------
    w, a: In, `lanes` codes each.
    first, finish: In, an output begins, ends with this step.
    z: Out, float32 code where `valid`, else 0.
    valid: Out, an output is complete.
    """

    format: FloatFormat = parameter("of both operands; with infinities", default=FP32)
    lanes: int = parameter("products of a step", low=1, high=64, default=8)
    guard_bits: int = parameter(
        "kept below the last place of a largest product", low=0, high=16, default=6
    )
    recoding: Recoding = UnsignedMultiplier.recoding

    stages = ("operands", "dot", "accumulate")

    def rules(self):
        if self.format.specials is not Specials.IEEE:
            raise ValueError(f"format must have infinities, not {self.format}")

    def ports(self):
        self._rows = ProductRows(format=self.format, lanes=self.lanes, recoding=self.recoding)
        self._dot = AlignedDot(format=self.format, lanes=self.lanes, guard_bits=self.guard_bits)
        self._sum = AlignedFloatSum(dot=self._dot)
        rows, total = self._rows.signature.members, self._sum.signature.members
        return {
            **{port: rows[port] for port in "wa"},
            **{port: total[port] for port in ("first", "finish", "z", "valid")},
        }

    _parts = property(lambda self: (self._rows, self._dot, self._sum))
    latency = property(
        lambda self: sum(part.latency for part in self._parts),
        doc="Clock cycles from an output's last operands to `z`.",
    )
    registers = property(
        lambda self: sum(part.registers for part in self._parts), doc="Register bits."
    )

    def elaborate(self, platform):
        m = Module()
        for name, part in zip(self.stages, self._parts, strict=True):
            m.submodules[name] = part
        m.d.comb += [getattr(self._rows, port).eq(getattr(self, port)) for port in "wa"]
        m.d.comb += self._sum.total.eq(self._dot.total)
        for port in ("significands", "negative", "distances", "top", *_FLAGS):
            source, target = getattr(self._rows, port), getattr(self._dot, port)
            m.d.comb += Value.cast(target).eq(Value.cast(source))
        for port in ("top", *_FLAGS):
            m.d.comb += getattr(self._sum, port).eq(getattr(self._dot, f"total_{port}"))
        for port in ("first", "finish"):
            m.d.comb += getattr(self._sum, port).eq(getattr(self, port))
        m.d.comb += [getattr(self, port).eq(getattr(self._sum, port)) for port in ("z", "valid")]
        return m
