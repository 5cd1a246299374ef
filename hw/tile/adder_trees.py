# amaranth: UnusedElaboratable=no
"""Adder trees: the leaves of a tile to one float32 sum (docs/numerics.md section 8)."""

from amaranth.hdl import Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, ScaleFormat, check_int
from ..floating.float_adder import FloatAdder
from ..floating.float_common import check_flag
from ..floating.int_to_float import IntToFloat
from ..parts.values import named, registered
from .group_scaler import check_scale

MAX_LEAVES = 64
"""Most leaves of a block."""


def doublings(count: int) -> int:
    """`ceil(log2 count)`: levels of a binary tree, and bits by which a sum of `count` is wider."""
    return (count - 1).bit_length()


def _block_ports(leaf: Shape, leaves: int, sharing: int) -> dict[str, wiring.Member]:
    """What every tree takes and gives; a tile comes as `sharing` blocks."""
    check_int("leaves", leaves, 1, MAX_LEAVES)
    check_int("sharing", sharing, 1, MAX_LEAVES)
    if sharing > 1 and (sharing & (sharing - 1) or leaves & (leaves - 1)):
        raise ValueError(
            f"sharing must be 1, or a power of two with leaves a power of two, not {sharing!r} "
            f"with {leaves!r} leaves"
        )
    block = {"block": In(range(sharing))} if sharing > 1 else {}
    ports = {"i": In(ArrayLayout(leaf, leaves)), "valid": In(1), **block}
    return ports | {"sum": Out(FP32.code_width), "sum_valid": Out(1)}


class Fp32AdderTree(wiring.Component):
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

    Parameters
    ----------
    leaves: leaves of a block, 1..64.
    sharing: blocks of a tile, 1..64; above 1 it and `leaves` are powers of two.
    levels: adder levels between rows of registers, 1..6.
    subnormals: keep subnormals (True) or flush them to zero.

    Members
    -------
    i: In, `leaves` float32 codes.
    valid: In, `i` is a block of a tile.
    block: In, which; absent where there is one.
    sum: Out, float32 code; held until the next.
    sum_valid: Out, `sum` is new.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(self, *, leaves: int, sharing: int = 1, levels: int = 1, subnormals: bool = True):
        ports = _block_ports(unsigned(FP32.code_width), leaves, sharing)
        check_int("levels", levels, 1, doublings(MAX_LEAVES))
        self._leaves = leaves
        self._sharing = sharing
        self._levels = levels
        check_flag("subnormals", subnormals)
        self._subnormals = subnormals
        super().__init__(ports)

    leaves = property(lambda self: self._leaves, doc="Leaves of a block.")
    sharing = property(lambda self: self._sharing, doc="Blocks of a tile.")
    levels = property(lambda self: self._levels, doc="Adder levels between rows of registers.")
    subnormals = property(lambda self: self._subnormals, doc="Whether subnormals are kept.")

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
        block = self.block if self.sharing > 1 else None
        for level in range(doublings(self.leaves)):
            if level % self.levels == 0:
                enable = valid if level == 0 else None
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

    def _add(self, m: Module, name: str, x, y):
        m.submodules[name] = adder = FloatAdder(format=FP32, subnormals=self.subnormals)
        m.d.comb += [adder.x.eq(x), adder.y.eq(y)]
        return adder.sum


class _IntegerTree(wiring.Component):
    """Exact integer sum of leaves, blocks and perhaps tiles, converted once to float32.

    Leaves are taken only when `valid`; between tiles they may be anything. Their fixed-point
    numbers add up in one cycle, which ends in the accumulator (`[` is a row of registers)::

        i -[- _fixed_point - adds - accumulator -[- IntToFloat -> sum
    """

    def __init__(
        self,
        *,
        leaves: int,
        sharing: int,
        leaf: Shape | StructLayout,
        convert: IntToFloat,
        more: dict[str, wiring.Member],
    ):
        self._leaves = leaves
        self._sharing = sharing
        self._convert = convert
        super().__init__(_block_ports(leaf, leaves, sharing) | more)

    leaves = property(lambda self: self._leaves, doc="Leaves of a block.")
    sharing = property(lambda self: self._sharing, doc="Blocks of a tile.")
    sum_width = property(lambda self: self._convert.width, doc="Bits of the integer sum.")
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
            m.d.comb += convert.exponent.eq(registered(m, "low_acc", low))
        m.d.comb += [
            convert.i.eq(acc),
            self.sum.eq(convert.z),
            self.sum_valid.eq(registered(m, "ends_acc", ends)),
        ]
        return m

    def _sum(self, m: Module):
        """Sum of a block: one expression, so that synthesis sees a sum of many."""
        terms = []
        for leaf in range(self.leaves):
            row = registered(m, f"row_{leaf}", self.i[leaf], self.valid)
            terms.append(self._fixed_point(m, f"term_{leaf}", row))
        while len(terms) > 1:
            pairs = [x + y for x, y in zip(terms[::2], terms[1::2], strict=False)]
            terms = [*pairs, *terms[2 * len(pairs) :]]
        return terms[0]

    def _fixed_point(self, m: Module, name: str, leaf):
        """The signed integer that a leaf of row 0 stands for."""
        return leaf

    def _begins(self):
        """Whether `i` begins a sum; None where every block does."""
        return ~self.block.any() if self.sharing > 1 else None


class AlignedAdderTree(_IntegerTree):
    """Sum of a tile's aligned terms, one rounding: `sum = fl(S * 2^-(low + offset))`, S the exact
    integer sum.

    Latency 2 cycles, throughput one block a cycle. No reset: block 0 defines the state.
    Source: docs/numerics.md section 8.

    Parameters
    ----------
    leaves: leaves of a block, 1..64.
    sharing: blocks of a tile, 1..64; above 1 it and `leaves` are powers of two.
    term_width: bits of an aligned term (`Aligner.term_width`), 2..128.
    exponent_width: bits of `low`, 1..10.
    offset: 2 Mg + 2F + G: the unit of a term at low = 0 is 2^-offset.

    Members
    -------
    i: In, `leaves` signed terms of `term_width` bits (`Aligner`).
    low: In, `exponent_width` bits, with `valid`: exponent of the tile's largest scale.
    valid: In, `i` is a block of a tile.
    block: In, which; absent where there is one.
    sum: Out, float32 code; held until the next block.
    sum_valid: Out, a block has been added.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self, *, leaves: int, sharing: int = 1, term_width: int, exponent_width: int, offset: int
    ):
        check_int("term_width", term_width, 2, 128)
        check_int("exponent_width", exponent_width, 1, 10)
        self._term_width = term_width
        super().__init__(
            leaves=leaves,
            sharing=sharing,
            leaf=signed(term_width),
            convert=IntToFloat(
                # N terms within +-2^(term_width-1) sum up to within +-N * 2^(term_width-1).
                width=term_width + doublings(leaves * sharing),
                exponent_width=exponent_width,
                offset=offset,
            ),
            more={"low": In(exponent_width)},
        )

    term_width = property(lambda self: self._term_width, doc="Bits of a term.")
    exponent_width = property(lambda self: self._convert.exponent_width, doc="Bits of `low`.")
    offset = property(lambda self: self._convert.offset, doc="Added to `low`.")


class ExactAdderTree(_IntegerTree):
    """Exact sum of all terms of an output, one rounding:
    `sum = fl(sum of term * 2^-(exponent + offset))`.

    Every term becomes a multiple of the smallest unit, `term << (2 max_exp - exponent)`; the
    accumulator adds blocks and tiles, and each sum so far is converted. Its carries run over the
    whole sum, of some 2^(Eg+1) bits: for scales of few exponent bits.
    Latency 2 cycles, throughput one block a cycle. No reset: `first` defines the state.
    Source: docs/numerics.md section 8.

    Parameters
    ----------
    leaves: leaves of a block, 1..64.
    sharing: blocks of a tile, 1..64; above 1 it and `leaves` are powers of two.
    term_width: bits of a term (`ScaledTerm`), 2..128.
    scale: ScaleFormat of the groups' scales.
    offset: 2 Mg + 2F: the unit of a term at exponent 0 is 2^-offset.
    tiles: most tiles of an output, 1..65536; the sum of more can wrap.

    Members
    -------
    i: In, `leaves` pairs of a signed `term` of `term_width` bits and an `exponent`, at most
        2 max_exp.
    first: In, with `valid`: the tile begins an output.
    valid: In, `i` is a block of a tile.
    block: In, which; absent where there is one.
    sum: Out, float32 code of the output so far; held until the next block.
    sum_valid: Out, a tile has been added.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        leaves: int,
        sharing: int = 1,
        term_width: int,
        scale: ScaleFormat,
        offset: int,
        tiles: int = 64,
    ):
        check_int("term_width", term_width, 2, 128)
        check_scale(scale)
        check_int("tiles", tiles, 1, 1 << 16)
        self._scale = scale
        self._offset = offset
        self._tiles = tiles
        leaf = {"term": signed(term_width), "exponent": unsigned(scale.exp_bits + 1)}
        reach = 2 * scale.max_exp
        super().__init__(
            leaves=leaves,
            sharing=sharing,
            leaf=StructLayout(leaf),
            convert=IntToFloat(
                # N terms within +-2^(term_width-1+reach) sum up to within N times that.
                width=term_width + reach + doublings(leaves * sharing * tiles),
                exponent_width=0,
                offset=offset + reach,
            ),
            more={"first": In(1)},
        )

    term_width = property(lambda self: len(self.i[0].term), doc="Bits of a term.")
    scale = property(lambda self: self._scale, doc="Format of the groups' scales.")
    offset = property(lambda self: self._offset, doc="Added to each exponent.")
    tiles = property(lambda self: self._tiles, doc="Most tiles of an output.")

    def _fixed_point(self, m: Module, name: str, leaf):
        # The complement of the exponent is 2 max_exp + 1 - exponent: one place more than the shift.
        value = leaf.term
        for digit, clear in enumerate(leaf.exponent):
            shifted = Mux(clear, value, value << (1 << digit))
            value = named(m, f"{name}_by{1 << digit}", shifted)
        return value[1:].as_signed()

    def _begins(self):
        first_block = super()._begins()
        return self.first if first_block is None else self.first & first_block
