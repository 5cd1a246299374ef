# amaranth: UnusedElaboratable=no
"""Tiles: lanes of MACs, their scalers, an adder tree, accumulation into outputs, tensor scale."""

from amaranth import Module, unsigned
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import (
    FP32,
    ElementFormat,
    FloatFormat,
    Overflow,
    ScaleFormat,
    Tree,
    check_int,
    choice,
)
from ..mac.float_mac import FloatMac, Fp8Mac, Fp32Mac
from ..mac.mac import Mac
from ..mac.mls_mac import MlsMac
from ..parts.unsigned_multiplier import Recoding
from .adder_trees import AlignedAdderTree, ExactAdderTree, Fp32AdderTree
from .collector import Collector, check_sharing
from .group_scaler import fraction_bits
from .tile_scalers import AlignedScalers, ExactScalers, FloatScalers
from .tile_stages import Lanes, TileOutput, TileTree


class Tile(wiring.Component):
    """`lanes` MACs, and the sum of their groups: `z = fl(sum of scaled groups * tensor_scale)`.

    Each cycle takes one product a lane. A group lasts from `start` to `last`; its sums, scaled and
    added up over the lanes, are one tile; an output is the sum of the tiles from `first` to
    `finish`. Cycles from the step with `last`, registers changing at the cycle's beginning
    (S = sharing, L = latency of the adder tree from a tile's last block on)::

        cycle  0       1        2        3     4 .. 3+S      4+S+L        5+S+L       6+S+L
        macs   w, a    operands products acc
        collector      scales                  sums, block
        scalers                                (combinational)
        tree                                   rows ..       X + Y
        output                                               |            sum         z, valid

    `latency` = 6 + S + L, 1 less without the tensor scale, and 1 less with the exact tree, which
    adds up outputs by itself; a float tile without sharing has no row of sums, hence 1 less.
    Throughput: a product a lane a cycle. `interval` = S + 3 cycles lie at least between two steps
    with `last`: shorter groups cost idle cycles.

    An idle cycle has start = last = 0 and idle operands in each lane; an idle lane has those and
    all-ones scale codes. No reset and no stall: the first step must be a whole output (start =
    last = first = finish = 1), and so defines the state.

    Source: docs/numerics.md sections 4, 5, 7 and 8.

    Parameters
    ----------
    macs: Mac of each lane.
    scale: ScaleFormat of a group scale, or None.
    scalers: what makes leaves of sums, of one block; None where sums are leaves.
    adders: adder tree of one tile.
    sharing: lanes that share one scaler.
    tensor_scale: whether outputs are multiplied by it.
    subnormals: keep float32 subnormals behind the tree (True) or flush them to zero.

    Members
    -------
    start: In, the products are the first of a group.
    last: In, they are its last.
    first, finish: In, with `last`: the tile begins, ends an output.
    w, a: In, operand codes of each lane.
    w_scale, a_scale: In, scale codes {eg, mg} of each lane, with `last`; only MLS.
    tensor_scale: In, 32 bits, constant while outputs are under way; only where it is built.
    z: Out, 32 bits, float32 code of the newest output.
    valid: Out, `z` is new: `latency` cycles after the step with `last` and `finish`.
    overflow: Out, a sum of `z` overflowed; only where the MACs have a flag.
    """

    def __init__(
        self,
        *,
        macs: list[Mac],
        scale: ScaleFormat | None = None,
        scalers: wiring.Component | None = None,
        adders: wiring.Component,
        sharing: int,
        tensor_scale: bool,
        subnormals: bool,
    ):
        self._macs = Lanes(macs=macs)
        has_overflow = self._macs.has_overflow
        self._collector = Collector(
            lanes=len(macs),
            shape=macs[0].acc.shape(),
            scale=scale,
            sharing=sharing,
            has_overflow=has_overflow,
        )
        self._scalers = scalers
        self._tree = TileTree(adders=adders, subnormals=subnormals, has_overflow=has_overflow)
        self._output = TileOutput(
            tensor_scale=tensor_scale,
            subnormals=subnormals,
            has_overflow=has_overflow,
            recoding=self.recoding,
        )
        members = {port: In(1) for port in ("start", "last", "first", "finish")}
        members |= {port: In(self._macs.w.shape()) for port in ("w", "a")}
        if scale is not None:
            codes = ArrayLayout(unsigned(scale.code_width), len(macs))
            members |= {port: In(codes) for port in ("w_scale", "a_scale")}
        if tensor_scale:
            members["tensor_scale"] = In(FP32.code_width)
        members |= {"z": Out(FP32.code_width), "valid": Out(1)}
        if has_overflow:
            members["overflow"] = Out(1)
        super().__init__(members)

    scale = property(lambda self: self._collector.scale, doc="Format of a group scale, or None.")
    lanes = property(lambda self: self._collector.lanes, doc="Products of a step.")
    sharing = property(lambda self: self._collector.sharing, doc="Lanes that share one scaler.")
    has_tensor_scale = property(
        lambda self: self._output.scales, doc="Whether outputs are multiplied by `tensor_scale`."
    )
    recoding = property(
        lambda self: self._macs.macs[0].recoding, doc="Of the significand multipliers."
    )
    idle_operands = property(
        lambda self: self._macs.macs[0].idle_operands, doc="Codes (w, a) of an idle lane or cycle."
    )
    interval = property(
        lambda self: self._collector.interval, doc="Least cycles between steps with `last`."
    )

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the submodules, in the order in which data passes them."""
        return tuple(name for name, _ in self._parts())

    @property
    def latency(self) -> int:
        """Clock cycles from the step with `last` and `finish` to `z`."""
        return self._collector.latency + self._tree.latency + self._output.latency

    @property
    def registers(self) -> int:
        """Register bits of all stages; the flop count of a faithful netlist."""
        return sum(part.registers for _, part in self._parts())

    def _parts(self) -> list[tuple[str, wiring.Component]]:
        parts = {
            "macs": self._macs,
            "collector": self._collector,
            "scalers": self._scalers,
            "tree": self._tree,
            "output": self._output,
        }
        return [(name, part) for name, part in parts.items() if part is not None]

    def elaborate(self, platform):
        m = Module()
        members = self.signature.members.items()
        # An input takes what comes newest by its name: a port of the tile, an output of a stage.
        values = {name: getattr(self, name) for name, member in members if member.flow is In}
        for name, part in self._parts():
            m.submodules[name] = part
            for port, member in part.signature.members.items():
                if member.flow is In:
                    m.d.comb += getattr(part, port).eq(values[port])
            for port, member in part.signature.members.items():
                if member.flow is Out:
                    values[port] = getattr(part, port)
            if self._scalers is None:
                values["leaves"] = values.get("sums")
        m.d.comb += [
            getattr(self, name).eq(values[name]) for name, member in members if member.flow is Out
        ]
        return m


class MlsTile(Tile):
    """MLS tile: integer group sums, scaled, added by one of three trees.

    Source: docs/numerics.md sections 4, 7, 8 and 10.

    Parameters
    ----------
    element: ElementFormat of the operands.
    scale: ScaleFormat of the group scales.
    lanes: products of a step, 1..64.
    acc_width, overflow: of the lanes' accumulators, as in MlsMac.
    tree: Tree.
    guard_bits: of the aligned tree, 0..32.
    tiles: most tiles of an output, of the exact tree: sizes its accumulator.
    tensor_scale: whether outputs are multiplied by it.
    sharing: lanes that share one scaler; both powers of two where above 1.
    levels: adder levels between registers of the fp32 tree.
    recoding: of the significand multipliers.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        element: ElementFormat,
        scale: ScaleFormat,
        lanes: int = 16,
        acc_width: int = 16,
        overflow: Overflow = Overflow.SATURATE,
        tree: Tree = Tree.FP32,
        guard_bits: int = 12,
        tiles: int = 64,
        tensor_scale: bool = True,
        sharing: int = 1,
        levels: int = 1,
        recoding: Recoding = Recoding.NONE,
    ):
        check_sharing(lanes, sharing)
        macs = [
            MlsMac(element=element, acc_width=acc_width, overflow=overflow, recoding=recoding)
            for _ in range(lanes)
        ]
        self._element = element
        self._tree_kind = choice("tree", Tree, tree)
        check_int("guard_bits", guard_bits, 0, 32)
        check_int("tiles", tiles, 1, 1 << 16)
        check_int("levels", levels, 1, 6)
        self._guard_bits, self._tiles, self._levels = guard_bits, tiles, levels
        scalers, adders = self._leaves_and_adders(scale, lanes, sharing, acc_width)
        super().__init__(
            macs=macs,
            scale=scale,
            scalers=scalers,
            adders=adders,
            sharing=sharing,
            tensor_scale=tensor_scale,
            subnormals=True,
        )

    def _leaves_and_adders(self, scale: ScaleFormat, lanes: int, sharing: int, acc_width: int):
        """The two stages that the kind of tree decides."""
        leaves = lanes // sharing
        scaler = {"leaves": leaves, "acc_width": acc_width, "scale": scale}
        tree = {"leaves": leaves, "sharing": sharing}
        offset = fraction_bits(self.element, scale)
        if self.tree is Tree.FP32:
            scalers = FloatScalers(**scaler, element=self.element)
            return scalers, Fp32AdderTree(**tree, levels=self.levels)
        if self.tree is Tree.ALIGNED:
            scalers = AlignedScalers(**scaler, lanes=lanes, guard_bits=self.guard_bits)
            return scalers, AlignedAdderTree(
                **tree,
                term_width=scalers.term_width,
                exponent_width=len(scalers.low),
                offset=offset + self.guard_bits,
            )
        scalers = ExactScalers(**scaler)
        return scalers, ExactAdderTree(
            **tree,
            term_width=scalers.term_width,
            scale=scale,
            offset=offset,
            tiles=self.tiles,
        )

    element = property(lambda self: self._element, doc="Format of the operands.")
    acc_width = property(lambda self: self._macs.macs[0].acc_width, doc="Accumulator bits.")
    policy = property(
        lambda self: self._macs.macs[0].policy, doc="The `overflow` policy; `overflow` is the port."
    )
    tree = property(lambda self: self._tree_kind, doc="Kind of adder tree.")
    guard_bits = property(lambda self: self._guard_bits, doc="Of the aligned tree.")
    tiles = property(lambda self: self._tiles, doc="Most tiles of an output, of the exact tree.")
    levels = property(lambda self: self._levels, doc="Adder levels between registers of the tree.")


class FloatTile(Tile):
    """Tile of floating-point MACs: a lane's float32 sum is a leaf of the float32 tree.

    Parameters
    ----------
    macs: FloatMac of each lane, accumulating in float32.
    sharing, levels: of the tree, as in MlsTile.
    tensor_scale: whether outputs are multiplied by it.
    subnormals: whether that product keeps subnormals.
    """

    def __init__(
        self,
        *,
        macs: list[FloatMac],
        sharing: int,
        levels: int,
        tensor_scale: bool,
        subnormals: bool,
    ):
        self._levels = levels
        adders = Fp32AdderTree(
            leaves=len(macs) // sharing,
            sharing=sharing,
            levels=levels,
            subnormals=macs[0].subnormals,
        )
        super().__init__(
            macs=macs,
            adders=adders,
            sharing=sharing,
            tensor_scale=tensor_scale,
            subnormals=subnormals,
        )

    levels = property(lambda self: self._levels, doc="Adder levels between registers of the tree.")


class Fp8Tile(FloatTile):
    """FP8 tile: exact products, float32 sums.

    No sum has subnormals (`Fp8Mac`), so the adders are built without them; the product with the
    tensor scale can be one.

    Parameters
    ----------
    format: FP8_E5M2 or FP8_E4M3 (OCP).
    lanes, tensor_scale, sharing, levels, recoding: as in MlsTile.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        format: FloatFormat,
        lanes: int = 16,
        tensor_scale: bool = True,
        sharing: int = 1,
        levels: int = 1,
        recoding: Recoding = Recoding.NONE,
    ):
        check_sharing(lanes, sharing)
        macs = [Fp8Mac(format=format, recoding=recoding) for _ in range(lanes)]
        super().__init__(
            macs=macs, sharing=sharing, levels=levels, tensor_scale=tensor_scale, subnormals=True
        )

    format = property(lambda self: self._macs.macs[0].format, doc="Format of the operands.")


class Fp32Tile(FloatTile):
    """FP32 tile: every product and sum rounded to float32.

    Parameters
    ----------
    subnormals: keep subnormals (True) or flush them to zero, everywhere.
    lanes, sharing, levels, recoding: as in MlsTile.
    tensor_scale: whether outputs are multiplied by one.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        lanes: int = 16,
        subnormals: bool = True,
        tensor_scale: bool = False,
        sharing: int = 1,
        levels: int = 1,
        recoding: Recoding = Recoding.NONE,
    ):
        check_sharing(lanes, sharing)
        macs = [Fp32Mac(subnormals=subnormals, recoding=recoding) for _ in range(lanes)]
        super().__init__(
            macs=macs,
            sharing=sharing,
            levels=levels,
            tensor_scale=tensor_scale,
            subnormals=subnormals,
        )

    format = property(lambda self: FP32, doc="Format of the operands.")
    subnormals = property(
        lambda self: self._macs.macs[0].subnormals, doc="Whether subnormals are kept."
    )
