# amaranth: UnusedElaboratable=no
"""Adder trees: the leaves of a tile to one float32 sum (docs/numerics.md section 8)."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, TILES, ScaleFormat
from ..floating.float_adder import FloatAdder
from ..floating.int_to_float import IntToFloat
from ..parts.component import Component, parameter
from ..parts.values import named, registered
from .group_scaler import ScaledTerm

MAX_LEAVES = 64
"""Leaves of a block at most."""


def doublings(count: int) -> int:
    """`ceil(log2 count)`: levels of a binary tree, and bits by which a sum of `count` is wider."""
    return (count - 1).bit_length()


def check_powers(sharing: int, **count: int) -> None:
    """Raise unless `sharing` blocks, if several, and what is counted are powers of two."""
    ((what, number),) = count.items()
    if sharing > 1 and (sharing & (sharing - 1) or number & (number - 1)):
        rule = f"1, or a power of two with {what} a power of two"
        raise ValueError(f"sharing must be {rule}, not {sharing!r} with {number!r} {what}")


class AdderTree(Component):
    """What adds up tiles, each of which comes as `sharing` blocks of `leaves` neighbours, block 0
    first.

    A tree says what a leaf is.

    Members
    -------
    i: In, leaves of a block.
    valid: In, `i` is a block of a tile.
    block: In, which; absent where there is one.
    sum: Out, float32 code.
    sum_valid: Out, `sum` is new.
    """

    leaves: int = parameter("leaves of a block", low=1, high=MAX_LEAVES)
    sharing: int = parameter(
        "blocks of a tile, or lanes that share one scaler; above 1 a power of two, and so are "
        "leaves and lanes",
        low=1,
        high=MAX_LEAVES,
        default=1,
    )
    gated: bool = parameter(
        "whether rows behind the first, too, change with a new block alone", default=False
    )

    def make_leaf(self) -> Any:
        """Shape or layout of a leaf."""
        raise NotImplementedError

    def rules(self):
        check_powers(self.sharing, leaves=self.leaves)

    def ports(self):
        block = {"block": In(range(self.sharing))} if self.sharing > 1 else {}
        return {
            "i": In(ArrayLayout(self.make_leaf(), self.leaves)),
            "valid": In(1),
            **block,
            "sum": Out(FP32.code_width),
            "sum_valid": Out(1),
        }


class Fp32AdderTree(AdderTree):
    """Float32 sum of a tile: neighbours add first, as a balanced binary tree; an odd last leaf
    passes through to the next level.

    A tile comes as `sharing` blocks of `leaves` neighbours, block 0 first. The leaves of a block
    add in parallel, the sums of blocks pair by pair: stage k keeps the even sum and adds when the
    odd one comes. Both operands of every adder change in one cycle, and only with new leaves, so
    each add is evaluated once. For 4 leaves, 4 blocks and 1 level (`[` is a row of registers)::

        i -[- add -[- add -> sum of a block -[even, X, Y- add -[even, X, Y- add -> sum
          valid                                                     pairs            tile

    The first row takes leaves only when `valid`: between tiles they may be anything.
    Latency, from the last block to `sum`: ceil(ceil(log2 leaves) / levels) + log2 sharing cycles;
    throughput one block a cycle. One leaf and one block: wires. No reset: block 0 defines the
    state.
    Source: docs/numerics.md section 8.

    Members
    -------
    i: In, `leaves` float32 codes.
    valid: In, `i` is a block of a tile.
    block: In, which; absent where there is one.
    sum: Out, float32 code; held until the next.
    sum_valid: Out, `sum` is new.
    """

    levels: int = parameter(
        "adder levels between rows of registers", low=1, high=doublings(MAX_LEAVES), default=1
    )
    subnormals: bool = parameter(
        "keep float32 subnormals (True) or flush them to zero", default=True
    )

    def make_leaf(self):
        return unsigned(FP32.code_width)

    @property
    def latency(self) -> int:
        """Clock cycles from a tile's last block to `sum`."""
        return len(self._rows) + doublings(self.sharing)

    @property
    def registers(self) -> int:
        """Register bits: rows of values, even sums and operands of pairs; valid and block beside
        them.
        """
        digits = doublings(self.sharing)
        rows = sum(self._rows) * FP32.code_width + len(self._rows) * (1 + digits)
        return rows + sum(3 * FP32.code_width + 1 + digit for digit in range(digits))

    @property
    def _rows(self) -> list[int]:
        """Values of each row of registers."""
        tops = range(0, doublings(self.leaves), self.levels)
        return [-(-self.leaves // (1 << level)) for level in tops]

    def elaborate(self, platform):
        m = Module()
        values = [self.i[leaf] for leaf in range(self.leaves)]
        valid = self.valid
        block: Value | None = self.block if self.sharing > 1 else None
        for level in range(doublings(self.leaves)):
            if level % self.levels == 0:
                enable = valid if level == 0 or self.gated else None
                values = [
                    registered(m, f"row{level}_{k}", value, enable)
                    for k, value in enumerate(values)
                ]
                valid = registered(m, f"valid{level}", valid)
                block = None if block is None else registered(m, f"block{level}", block)
            pairs = zip(values[::2], values[1::2], strict=False)
            sums = [self._add(m, f"add{level}_{k}", *pair) for k, pair in enumerate(pairs)]
            values = [*sums, *values[2 * len(sums) :]]
        total = values[0]
        if block is not None:
            for stage in range(doublings(self.sharing)):
                odd, block = block[0], block[1:]
                even = registered(m, f"even{stage}", total, valid & ~odd)
                valid = named(m, f"pair{stage}", valid & odd)
                x = registered(m, f"x{stage}", even, valid)
                y = registered(m, f"y{stage}", total, valid)
                total = self._add(m, f"pair_add{stage}", x, y)
                valid = registered(m, f"pair_valid{stage}", valid)
                block = registered(m, f"pair_block{stage}", block)
        m.d.comb += [self.sum.eq(total), self.sum_valid.eq(valid)]
        return m

    def _add(self, m: Module, name: str, x: Value, y: Value) -> Value:
        m.submodules[name] = adder = FloatAdder(format=FP32, subnormals=self.subnormals)
        m.d.comb += [adder.x.eq(x), adder.y.eq(y)]
        return adder.sum


class _IntegerTree(AdderTree):
    """Exact integer sum of leaves, blocks and perhaps tiles, converted once to float32.

    Leaves are taken only when `valid`; between tiles they may be anything. Their fixed-point
    numbers add up in one cycle, which ends in the accumulator (`[` is a row of registers)::

        i -[- _fixed_point - adds - accumulator -[- IntToFloat -> sum
    """

    term_width: int = parameter("bits of a term", low=2, high=128)
    offset: int = parameter(
        "2^-offset is the unit of a term whose exponent is 0",
        low=0,
        high=IntToFloat.parameters["offset"].high,
    )

    def conversion(self) -> dict[str, int]:
        """Parameters of the conversion to float32."""
        raise NotImplementedError

    def rules(self):
        super().rules()
        IntToFloat.check(**self.conversion())

    def ports(self):
        self._convert = IntToFloat(**self.conversion())
        return super().ports()

    sum_width = property(lambda self: self.conversion()["width"], doc="Bits of the integer sum.")
    latency = property(lambda self: 2, doc="Clock cycles from a tile's last block to `sum`.")

    @property
    def registers(self) -> int:
        """Register bits: leaves, sum, `low` twice, and what is valid, begins and ends."""
        control = 2 + (self.sharing > 1) + (self._begins() is not None)
        data = len(self.i.as_value()) + self.sum_width + 2 * self._convert.exponent_width
        return data + control

    def elaborate(self, platform):
        m = Module()
        m.submodules.convert = convert = self._convert
        valid = ends = registered(m, "valid_row", self.valid)
        if self.sharing > 1:
            ends = registered(m, "ends_row", self.valid & self.block.all())
        total = self._sum(m)
        begins = self._begins()
        acc = Signal(signed(self.sum_width), reset_less=True)
        if begins is not None:
            begins = registered(m, "begins_row", begins)
            total = (acc & (~begins).replicate(self.sum_width).as_signed()) + total
        with m.If(valid):
            m.d.sync += acc.eq(total)
        if convert.exponent_width:
            low = registered(m, "low_row", self.low, self.valid)
            enable = valid if self.gated else None
            m.d.comb += convert.exponent.eq(registered(m, "low_acc", low, enable))
        m.d.comb += [
            convert.i.eq(acc),
            self.sum.eq(convert.z),
            self.sum_valid.eq(registered(m, "ends_acc", ends)),
        ]
        return m

    def _sum(self, m: Module) -> Value:
        """Sum of a block: one expression, so that synthesis sees a sum of many."""
        terms = []
        for leaf in range(self.leaves):
            row = registered(m, f"row_{leaf}", self.i[leaf], self.valid)
            terms.append(self._fixed_point(m, f"term_{leaf}", row))
        while len(terms) > 1:
            pairs = [x + y for x, y in zip(terms[::2], terms[1::2], strict=False)]
            terms = [*pairs, *terms[2 * len(pairs) :]]
        return terms[0]

    def _fixed_point(self, m: Module, name: str, leaf: Any) -> Value:
        """The signed integer that a leaf of row 0 stands for."""
        return leaf

    def _begins(self) -> Value | None:
        """Whether `i` begins a sum; None where every block does."""
        return ~self.block.any() if self.sharing > 1 else None


class AlignedAdderTree(_IntegerTree):
    """Sum of a tile's aligned terms, one rounding: `sum = fl(S * 2^-(low + offset))`, S the exact
    integer sum.

    Latency 2 cycles, throughput one block a cycle. No reset: block 0 defines the state.
    Source: docs/numerics.md section 8.

    Members
    -------
    i: In, `leaves` signed terms of `term_width` bits (`Aligner`).
    low: In, `exponent_width` bits, with `valid`: exponent of the tile's largest scale.
    valid: In, `i` is a block of a tile.
    block: In, which; absent where there is one.
    sum: Out, float32 code; held until the next block.
    sum_valid: Out, a block has been added.
    """

    exponent_width: int = parameter("bits of `low`", low=1, high=10)

    def make_leaf(self):
        return signed(self.term_width)

    def conversion(self):
        return {
            # N terms within +-2^(term_width-1) sum up to within +-N * 2^(term_width-1).
            "width": self.term_width + doublings(self.leaves * self.sharing),
            "exponent_width": self.exponent_width,
            "offset": self.offset,
        }

    def ports(self):
        return super().ports() | {"low": In(self.exponent_width)}


class ExactAdderTree(_IntegerTree):
    """Exact sum of all terms of an output, one rounding:
    `sum = fl(sum of term * 2^-(exponent + offset))`.

    Every term becomes a multiple of the smallest unit, `term << (2 max_exp - exponent)`; the
    accumulator adds blocks and tiles, and each sum so far is converted. Its carries run over the
    whole sum, of some 2^(Eg+1) bits: for scales of few exponent bits.
    Latency 2 cycles, throughput one block a cycle. No reset: `first` defines the state.
    Source: docs/numerics.md section 8.

    Members
    -------
    i: In, `leaves` pairs of a signed `term` of `term_width` bits (`ScaledTerm`) and an `exponent`,
        at most 2 max_exp.
    first: In, with `valid`: the tile begins an output.
    valid: In, `i` is a block of a tile.
    block: In, which; absent where there is one.
    sum: Out, float32 code of the output so far; held until the next block.
    sum_valid: Out, a tile has been added.
    """

    scale: ScaleFormat = ScaledTerm.scale
    tiles: int = parameter(
        "most tiles of an output, of the exact tree: the sum of more can wrap",
        low=1,
        high=1 << 16,
        default=TILES,
    )

    def make_leaf(self):
        fields = {"term": signed(self.term_width), "exponent": unsigned(self.scale.exp_bits + 1)}
        return StructLayout(fields)

    def conversion(self):
        reach = 2 * self.scale.max_exp
        return {
            # N terms within +-2^(term_width-1+reach) sum up to within N times that.
            "width": self.term_width + reach + doublings(self.leaves * self.sharing * self.tiles),
            "exponent_width": 0,
            "offset": self.offset + reach,
        }

    def ports(self):
        return super().ports() | {"first": In(1)}

    def _fixed_point(self, m: Module, name: str, leaf: Any) -> Value:
        # The complement of the exponent is 2 max_exp + 1 - exponent: one place more than the shift.
        value = leaf.term
        for digit, clear in enumerate(leaf.exponent):
            shifted = Mux(clear, value, value << (1 << digit))
            value = named(m, f"{name}_by{1 << digit}", shifted)
        return value[1:].as_signed()

    def _begins(self) -> Value | None:
        first_block = super()._begins()
        return self.first if first_block is None else self.first & first_block
