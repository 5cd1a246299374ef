# amaranth: UnusedElaboratable=no
"""A dot unit of floating-point numbers: products aligned to the largest, one rounding a step."""

from amaranth.hdl import Cat, Const, Module, Mux, Value, signed, unsigned
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, FloatFormat, Specials
from ..floating.float_accumulator import FloatAccumulator
from ..floating.float_adder import AdderPath
from ..floating.float_common import encode, normalise, round_nearest_even
from ..floating.float_product import FloatProduct, Product
from ..parts.component import Component, parameter
from ..parts.unsigned_multiplier import CompressionTree, Recoding, UnsignedMultiplier
from ..parts.values import named, registered

_ALIGNED_ARRIVAL = 8
"""Of a bit behind its shifter, about."""


class ProductRows(Component):
    """Exact products of a step, held: what shifts them sees none of the multipliers' glitches.

    Latency 1 cycle. No reset. Source: docs/numerics.md section 17.

    Members
    -------
    w, a: In, `lanes` codes each.
    products: Out, `lanes` words of `FloatProduct`.
    """

    format: FloatFormat = FloatProduct.format
    lanes: int = parameter("products of a step", low=1, high=64)
    recoding: Recoding = UnsignedMultiplier.recoding

    def ports(self):
        operands = In(ArrayLayout(unsigned(self.format.code_width), self.lanes))
        words = ArrayLayout(unsigned(FloatProduct.width(self.format)), self.lanes)
        return {"w": operands, "a": operands, "products": Out(words)}

    latency = property(lambda self: 1, doc="Clock cycles from operands to products.")
    registers = property(lambda self: len(self.products.as_value()), doc="Register bits.")

    def elaborate(self, platform):
        m = Module()
        for lane in range(self.lanes):
            m.submodules[f"product{lane}"] = part = FloatProduct(
                format=self.format, subnormals=False, recoding=self.recoding
            )
            m.d.comb += [part.x.eq(self.w[lane]), part.y.eq(self.a[lane])]
            m.d.comb += self.products[lane].eq(registered(m, f"row{lane}", part.product))
        return m


class AlignedDot(Component):
    """`total = sum over lanes of floor(product / u)`, exact; `top`: the largest sum of exponent
    fields, 0 where all products are zero.

    u is `2^-guard_bits` of the last place of a product of exponent `top`: a right shift by the
    distance of the exponents, in two's complement, all lanes in one compression tree.
    Latency 1 cycle. No reset. Source: docs/numerics.md section 17.

    Members
    -------
    products: In, `lanes` words of `FloatProduct`.
    total: Out, signed.
    top: Out, E + 1 bits.
    nan, up, down: Out, a product is NaN (or infinities of both signs are there), +-infinity.
    """

    format: FloatFormat = FloatProduct.format
    lanes: int = ProductRows.lanes
    guard_bits: int = parameter("below the last place of a largest product", low=0, high=16)

    def ports(self):
        words = ArrayLayout(unsigned(FloatProduct.width(self.format)), self.lanes)
        return {
            "products": In(words),
            "total": Out(signed(self.term_width + (self.lanes - 1).bit_length())),
            "top": Out(self.format.exp_bits + 1),
            **{flag: Out(1) for flag in ("nan", "up", "down")},
        }

    term_width = property(
        lambda self: self.format.man_bits + 2 + self.guard_bits + 1, doc="Bits of a term, signed."
    )
    latency = property(lambda self: 1, doc="Clock cycles from products to `total`.")
    registers = property(
        lambda self: len(self.total) + len(self.top) + 3, doc="Register bits: sum, exponent, flags."
    )

    def elaborate(self, platform):
        m = Module()
        parts = [FloatProduct.split(self.products[k], self.format) for k in range(self.lanes)]
        top = self._largest(m, [part.exponent for part in parts])
        tree = CompressionTree(m, len(self.total))
        constant = 0
        flags: dict[str, list[Value]] = {"nan": [], "up": [], "down": []}
        for lane, part in enumerate(parts):
            flags["nan"].append(part.nan)
            infinite = part.infinite if part.infinite is not None else Const(0, 1)
            flags["up"].append(infinite & ~part.nan & ~part.sign)
            flags["down"].append(infinite & ~part.nan & part.sign)
            term, increment = self._aligned(
                m, part, (top - part.exponent)[: len(top)], f"lane{lane}"
            )
            for place, bit in enumerate(term):
                sign = place == len(term) - 1
                tree.add(place, ~bit if sign else bit, _ALIGNED_ARRIVAL, f"lane{lane}_{place}")
            tree.add(0, increment, _ALIGNED_ARRIVAL, f"lane{lane}_increment")
            constant -= 1 << (len(term) - 1)
        tree.add_constant(constant, "signs")
        m.d.comb += [
            self.total.eq(registered(m, "total_row", tree.compress())),
            self.top.eq(registered(m, "top_row", top)),
        ]
        up, down = (named(m, f"any_{name}", Cat(flags[name]).any()) for name in ("up", "down"))
        nan = Cat(flags["nan"]).any() | (up & down)
        for name, flag in (("nan", nan), ("up", up), ("down", down)):
            m.d.comb += getattr(self, name).eq(registered(m, f"{name}_row", flag))
        return m

    def _largest(self, m: Module, values: list[Value]) -> Value:
        level = 0
        while len(values) > 1:
            pairs = zip(values[::2], values[1::2], strict=False)
            larger = [
                named(m, f"larger{level}_{k}", Mux(x > y, x, y)) for k, (x, y) in enumerate(pairs)
            ]
            values = [*larger, *values[2 * len(larger) :]]
            level += 1
        return values[0]

    def _aligned(self, m: Module, part: Product, distance: Value, name: str) -> tuple[Value, Value]:
        """floor(signed product / u), less what is added to it: of a negative one the complement,
        and one where nothing was dropped.
        """
        width = len(part.significand)
        steps = width.bit_length()
        far = named(m, f"{name}_far", distance[steps:].any())
        value: Value = Cat(
            Const(0, max(self.guard_bits - self.format.man_bits, 0)), part.significand
        )
        dropped: Value = Const(0, 1)
        for bit in range(steps):
            step = 1 << bit
            select = named(m, f"{name}_select{bit}", distance[bit] | far)
            dropped = named(m, f"{name}_dropped{bit}", dropped | (select & value[:step].any()))
            value = named(m, f"{name}_by{step}", Mux(select, value >> step, value)[: len(value)])
        cut = self.format.man_bits - self.guard_bits
        if cut > 0:
            dropped = named(m, f"{name}_below", dropped | value[:cut].any())
            value = value[cut:]
        negative = named(m, f"{name}_negative", part.sign & (value.any() | dropped))
        inverted = Cat(value ^ negative.replicate(len(value)), negative)
        return named(m, f"{name}_term", inverted), negative & ~dropped


class AlignedFloatSum(Component):
    """`acc = fl((first ? -0 : acc) + fl(total * u))` in float32, flushing; the step's sum, rounded,
    is held between.

    Latency 2 cycles. No reset: `first` defines the state. Source: docs/numerics.md section 17.

    Members
    -------
    total, top, nan, up, down: In, of `AlignedDot`.
    first, finish: In, two cycles ahead of them.
    z: Out, float32 code where `valid`, else 0.
    valid: Out, an output is complete.
    """

    dot: AlignedDot = parameter("what it adds up")

    def ports(self):
        self._adder = FloatAccumulator(format=FP32, subnormals=False, path=AdderPath.SINGLE)
        members = self.dot.signature.members
        fed = ("total", "top", "nan", "up", "down")
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
        m.d.comb += [
            adder.product.eq(registered(m, "leaf", self._rounded(m))),
            adder.start.eq(first),
            self.z.eq(Cat(bit & valid for bit in adder.acc)),
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


class FloatDot(Component):
    """`acc = fl((first ? -0 : acc) + fl(sum over lanes of w * a))`, sums in float32.

        products -[- align to the largest, add -[- round -[- add -[- z

    Products are exact, the step's sum drops what is below u and rounds once, the adder once more;
    subnormals are flushed. Latency 4 cycles, throughput one step a cycle. No reset: `first` defines
    the state; an idle step is fed zeros. Source: docs/numerics.md section 17.

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
        shape = {"format": self.format, "lanes": self.lanes}
        self._rows = ProductRows(**shape, recoding=self.recoding)
        self._dot = AlignedDot(**shape, guard_bits=self.guard_bits)
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
        m.d.comb += self._dot.products.eq(self._rows.products)
        for port in ("total", "top", "nan", "up", "down"):
            m.d.comb += getattr(self._sum, port).eq(getattr(self._dot, port))
        for port in ("first", "finish"):
            m.d.comb += getattr(self._sum, port).eq(getattr(self, port))
        m.d.comb += [getattr(self, port).eq(getattr(self._sum, port)) for port in ("z", "valid")]
        return m
