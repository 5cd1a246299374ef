# amaranth: UnusedElaboratable=no
"""Tiles: lanes of MACs, their scalers, an adder tree, accumulation into outputs, tensor scale."""

from functools import partial

from amaranth import Module, unsigned
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, ElementFormat, FloatFormat, Overflow, ScaleFormat, Tree
from ..mac.float_mac import Fp8Mac, Fp32Mac
from ..mac.mac import Mac
from ..mac.mls_mac import MlsMac
from ..parts.component import Component, check_plan, parameter, with_default
from ..parts.stepped import Stepped
from ..parts.unsigned_multiplier import Recoding
from .adder_trees import AdderTree, AlignedAdderTree, ExactAdderTree, Fp32AdderTree
from .aligner import Aligner
from .collector import Collector, check_sharing
from .group_scaler import GroupScaler, fraction_bits, term_width
from .tile_scalers import AlignedScalers, ExactScalers, FloatScalers, Scalers
from .tile_stages import Lanes, TileOutput, TileTree


class Tile(Stepped):
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

    A tile has the parameters `lanes`, `sharing`, `has_tensor_scale`, `recoding` and
    `clock_gating`, and says what makes its MACs, its scalers, if it has group scales, and its
    adders.
    Source: docs/numerics.md sections 4, 5, 7 and 8.

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

    scale: ScaleFormat | None = None
    """Of the groups; None without scalers."""

    subnormals: bool = True
    """Whether what follows the tree keeps subnormals."""

    def plan_mac(self) -> partial[Mac]:
        """What makes the MAC of a lane."""
        raise NotImplementedError

    def plan_scalers(self) -> partial[Scalers] | None:
        """What makes the scalers of a block; None where sums are leaves."""
        return None

    def plan_adders(self) -> partial[AdderTree]:
        """What makes the adder tree of a tile."""
        raise NotImplementedError

    def rules(self):
        check_sharing(self.lanes, self.sharing)
        for plan in (self.plan_mac(), self.plan_scalers(), self.plan_adders()):
            if plan is not None:
                check_plan(plan)

    def ports(self):
        self._macs = macs = Lanes(macs=tuple(self.plan_mac()() for _ in range(self.lanes)))
        self._collector = Collector(
            lanes=self.lanes,
            shape=macs.macs[0].acc.shape(),
            scale=self.scale,
            sharing=self.sharing,
            has_overflow=macs.has_overflow,
        )
        scalers = self.plan_scalers()
        self._scalers = None if scalers is None else scalers()
        common = {"subnormals": self.subnormals, "has_overflow": macs.has_overflow}
        self._tree = TileTree(adders=self.plan_adders()(), **common)
        self._output = TileOutput(
            tensor_scale=self.has_tensor_scale, recoding=self.recoding, **common
        )
        members = {port: In(1) for port in ("start", "last", "first", "finish")}
        members |= {port: In(macs.w.shape()) for port in ("w", "a")}
        if self.scale is not None:
            codes = ArrayLayout(unsigned(self.scale.code_width), self.lanes)
            members |= {port: In(codes) for port in ("w_scale", "a_scale")}
        if self.has_tensor_scale:
            members["tensor_scale"] = In(FP32.code_width)
        members |= {"z": Out(FP32.code_width), "valid": Out(1)}
        if macs.has_overflow:
            members["overflow"] = Out(1)
        return members

    leaves = property(lambda self: self.lanes // self.sharing, doc="Leaves of a block.")
    idle_operands = property(
        lambda self: self._macs.macs[0].idle_operands, doc="Codes (w, a) of an idle lane or cycle."
    )
    interval = property(
        lambda self: self._collector.interval, doc="Least cycles between steps with `last`."
    )
    reads_marks_at_last = property(lambda self: True, doc="As the collector does.")

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the submodules, in the order in which data passes them."""
        scalers = () if self.scale is None else ("scalers",)
        return ("macs", "collector", *scalers, "tree", "output")

    stage_sets = property(
        lambda self: (frozenset(self.stages), *self._macs.stage_sets),
        doc="Of the tile and of its MACs.",
    )

    @property
    def latency(self) -> int:
        """Clock cycles from the step with `last` and `finish` to `z`."""
        return self._collector.latency + self._tree.latency + self._output.latency

    @property
    def registers(self) -> int:
        """Register bits of all stages; the flop count of a faithful netlist."""
        return sum(part.registers for _, part in self._parts())

    def _parts(self) -> list[tuple[str, Component]]:
        return [(name, getattr(self, f"_{name}")) for name in self.stages]

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
    """

    format: ElementFormat = MlsMac.format
    scale: ScaleFormat = GroupScaler.scale
    acc_width: int = GroupScaler.acc_width
    policy: Overflow = MlsMac.policy
    lanes: int = Collector.lanes
    tree: Tree = parameter("what adds the lanes' sums", default=Tree.FP32)
    guard_bits: int = Aligner.guard_bits
    tiles: int = ExactAdderTree.tiles
    has_tensor_scale: bool = TileOutput.has_tensor_scale
    sharing: int = Collector.sharing
    levels: int = Fp32AdderTree.levels
    recoding: Recoding = MlsMac.recoding
    clock_gating: bool = Mac.clock_gating

    @property
    def exact_width(self):
        """Bits of the exact tree's sum."""
        return self._tree.adders.sum_width if self.tree is Tree.EXACT else None

    def plan_mac(self):
        return partial(
            MlsMac,
            format=self.format,
            acc_width=self.acc_width,
            overflow=self.policy,
            recoding=self.recoding,
            clock_gating=self.clock_gating,
        )

    def plan_scalers(self):
        common = {"leaves": self.leaves, "acc_width": self.acc_width, "scale": self.scale}
        if self.tree is Tree.FP32:
            return partial(FloatScalers, **common, format=self.format)
        if self.tree is Tree.ALIGNED:
            return partial(AlignedScalers, **common, lanes=self.lanes, guard_bits=self.guard_bits)
        return partial(ExactScalers, **common)

    def plan_adders(self):
        common = {
            "leaves": self.leaves,
            "sharing": self.sharing,
            "gated": self.clock_gating,
        }
        if self.tree is Tree.FP32:
            return partial(Fp32AdderTree, **common, levels=self.levels)
        width = term_width(self.acc_width, self.scale)
        offset = fraction_bits(self.format, self.scale)
        if self.tree is Tree.ALIGNED:
            return partial(
                AlignedAdderTree,
                **common,
                term_width=width + self.guard_bits,
                exponent_width=self.scale.exp_bits + 1,
                offset=offset + self.guard_bits,
            )
        return partial(
            ExactAdderTree,
            **common,
            term_width=width,
            offset=offset,
            scale=self.scale,
            tiles=self.tiles,
        )


class FloatTile(Tile):
    """Tile of floating-point MACs: a lane's float32 sum is a leaf of the float32 tree.

    A tile has the parameter `levels`, and says what makes its MACs.
    """

    def plan_adders(self):
        return partial(
            Fp32AdderTree,
            leaves=self.leaves,
            sharing=self.sharing,
            gated=self.clock_gating,
            levels=self.levels,
            subnormals=self.sums_keep_subnormals,
        )

    sums_keep_subnormals = property(
        lambda self: self.subnormals, doc="Whether the adder tree keeps subnormals."
    )


class Fp8Tile(FloatTile):
    """FP8 tile: exact products, float32 sums.

    No sum has subnormals (`Fp8Mac`), so the adders are built without them; the product with the
    tensor scale can be one.
    """

    format: FloatFormat = Fp8Mac.format
    lanes: int = Collector.lanes
    has_tensor_scale: bool = TileOutput.has_tensor_scale
    sharing: int = Collector.sharing
    levels: int = Fp32AdderTree.levels
    recoding: Recoding = Fp8Mac.recoding
    clock_gating: bool = Mac.clock_gating

    sums_keep_subnormals = Fp8Mac.subnormals

    def plan_mac(self):
        return partial(
            Fp8Mac, format=self.format, recoding=self.recoding, clock_gating=self.clock_gating
        )


class Fp32Tile(FloatTile):
    """FP32 tile: every product and sum rounded to float32."""

    lanes: int = Collector.lanes
    subnormals: bool = Fp32AdderTree.subnormals
    has_tensor_scale: bool = with_default(TileOutput.has_tensor_scale, False)
    sharing: int = Collector.sharing
    levels: int = Fp32AdderTree.levels
    recoding: Recoding = Fp32Mac.recoding
    clock_gating: bool = Mac.clock_gating

    format = FP32

    def plan_mac(self):
        return partial(
            Fp32Mac,
            subnormals=self.subnormals,
            recoding=self.recoding,
            clock_gating=self.clock_gating,
        )
