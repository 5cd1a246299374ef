# amaranth: UnusedElaboratable=no
"""Stages of a tile: its MACs, what adds its leaves and tiles, its output."""

from amaranth import Module, Signal, unsigned
from amaranth.hdl import Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32
from ..floating.float_adder import FloatAdder
from ..floating.float_multiplier import FloatMultiplier
from ..mac.mac import Mac
from ..parts.component import Component, parameter
from ..parts.platforms import OUTLINED, outline
from ..parts.unsigned_multiplier import Recoding
from ..parts.values import registered
from .adder_trees import AdderTree, Fp32AdderTree
from .collector import Collector

_WIDTH = FP32.code_width


class Lanes(Component):
    """MACs that start together.

    Members
    -------
    start: In, the products are the first of a group.
    w, a: In, operand codes of each lane.
    acc: Out, running sum of each lane.
    acc_overflow: Out, flag of each lane; only where the MACs have one.
    """

    macs: tuple[Mac, ...] = parameter("of the lanes, all alike")

    def ports(self):
        mac, count = self.macs[0], len(self.macs)
        operands = ArrayLayout(unsigned(len(mac.w)), count)
        overflow = {"acc_overflow": Out(count)} if self.has_overflow else {}
        return {
            "start": In(1),
            "w": In(operands),
            "a": In(operands),
            "acc": Out(ArrayLayout(mac.acc.shape(), count)),
            **overflow,
        }

    stage_sets = property(lambda self: self.macs[0].stage_sets, doc="Of a MAC.")
    has_overflow = property(lambda self: self.macs[0].has_overflow, doc="Whether flags exist.")
    latency = property(
        lambda self: self.macs[0].latency, doc="Clock cycles from `w`, `a` to `acc`."
    )
    registers = property(
        lambda self: len(self.macs) * self.macs[0].registers, doc="Register bits of all lanes."
    )

    def elaborate(self, platform):
        m = Module()
        for lane, mac in enumerate(self.macs):
            outlined = platform == OUTLINED and lane > 0
            m.submodules[f"lane{lane}"] = outline(mac, "lane0") if outlined else mac
            m.d.comb += [
                mac.start.eq(self.start),
                mac.w.eq(self.w[lane]),
                mac.a.eq(self.a[lane]),
                self.acc[lane].eq(mac.acc),
            ]
            if self.has_overflow:
                m.d.comb += self.acc_overflow[lane].eq(mac.overflow)
        return m


class TileAccumulator(Component):
    """Float32 sum of the tiles of an output: `sum = fl((first ? -0 : sum) + i)`.

    Both operands of the adder are registers that change in one cycle, so each add happens once:
    X takes the sum up to here (-0 where an output begins: x + -0 = x for every x), Y the new tile.
    Latency 1 cycle. No reset: `first` defines the state.

    Members
    -------
    i: In, 32 bits, sum of a tile.
    valid: In, it is new.
    first: In, with `valid`: it begins an output.
    sum: Out, 32 bits.
    """

    subnormals: bool = Fp32AdderTree.subnormals

    def ports(self):
        self._adder = FloatAdder(format=FP32, subnormals=self.subnormals)
        return {"i": In(_WIDTH), "valid": In(1), "first": In(1), "sum": Out(_WIDTH)}

    latency = property(lambda self: 1, doc="Clock cycles from `i` to `sum`.")
    registers = property(lambda self: 2 * _WIDTH, doc="Register bits: both operands.")

    def elaborate(self, platform):
        m = Module()
        m.submodules.adder = adder = self._adder
        x = Signal(_WIDTH, reset_less=True)
        y = Signal(_WIDTH, reset_less=True)
        with m.If(self.valid):
            m.d.sync += [x.eq(adder.sum), y.eq(self.i)]
            with m.If(self.first):
                m.d.sync += x.eq(1 << (_WIDTH - 1))
        m.d.comb += [adder.x.eq(x), adder.y.eq(y), self.sum.eq(adder.sum)]
        return m


class TileTree(Component):
    """Everything that adds: an adder tree for the leaves of a tile, then tile after tile (an exact
    tree by itself).

    What belongs to a tile (first, finish, overflow) travels beside its sum.

    Members
    -------
    leaves: In, the adders' `i`.
    block, low: In, as the adders have them.
    presented: In, the leaves are a block of a tile.
    tile_first, tile_finish: In, with blocks: the tile begins, ends an output.
    tile_overflow: In, with the last block: flag of the output so far; only with `has_overflow`.
    sum: Out, 32 bits, sum of an output.
    sum_valid: Out, it is complete.
    sum_overflow: Out, with `sum_valid`: its flag; only with `has_overflow`.
    """

    adders: AdderTree = parameter("of a tile")
    subnormals: bool = Fp32AdderTree.subnormals
    has_overflow: bool = Collector.has_overflow

    def ports(self):
        ports = self.adders.signature.members
        own = "first" in ports
        self._accumulator = None if own else TileAccumulator(subnormals=self.subnormals)
        self._drives = {
            port: source
            for port, source in {"i": "leaves", "valid": "presented", "first": "tile_first"}.items()
            if port in ports
        } | {port: port for port in ("block", "low") if port in ports}
        members = {source: ports[port] for port, source in self._drives.items()}
        members |= {port: In(1) for port in ("presented", "tile_first", "tile_finish")}
        members |= {"sum": Out(_WIDTH), "sum_valid": Out(1)}
        if self.has_overflow:
            members |= {"tile_overflow": In(1), "sum_overflow": Out(1)}
        return members

    @property
    def latency(self) -> int:
        """Clock cycles from a tile's last block to `sum`."""
        return self.adders.latency + (self._accumulator is not None)

    @property
    def registers(self) -> int:
        """Register bits: those of the adders, and what travels beside them."""
        bits = self.adders.registers + self.latency * (1 + self.has_overflow)
        if self._accumulator is not None:
            bits += self._accumulator.registers + 1 + self.adders.latency
        return bits

    def elaborate(self, platform):
        m = Module()
        m.submodules.adders = adders = self.adders
        m.d.comb += [
            getattr(adders, port).eq(getattr(self, source)) for port, source in self._drives.items()
        ]
        total, valid = adders.sum, adders.sum_valid
        if self._accumulator is not None:
            m.submodules.accumulator = accumulator = self._accumulator
            m.d.comb += [
                accumulator.i.eq(adders.sum),
                accumulator.valid.eq(adders.sum_valid),
                accumulator.first.eq(_delayed(m, "first", self.tile_first, adders.latency)),
            ]
            total, valid = accumulator.sum, registered(m, "added", adders.sum_valid)
        finish = _delayed(m, "finish", self.tile_finish, self.latency)
        m.d.comb += [self.sum.eq(total), self.sum_valid.eq(valid & finish)]
        if self.has_overflow:
            flag = _delayed(m, "overflow", self.tile_overflow, self.latency)
            m.d.comb += self.sum_overflow.eq(flag)
        return m


def _delayed(m: Module, name: str, value: Value, cycles: int) -> Value:
    """`value`, `cycles` later."""
    for cycle in range(1, cycles + 1):
        value = registered(m, f"{name}_{cycle}", value)
    return value


class TileOutput(Component):
    """The tile's result: `z = fl(sum * tensor_scale)`, or `sum` itself.

    Operand and result registers change with a new output only. Latency 2 cycles with the tensor
    scale, 1 without. No reset.

    Members
    -------
    sum: In, 32 bits.
    sum_valid: In, it is new.
    sum_overflow: In, with `sum_valid`: its flag; only with `has_overflow`.
    tensor_scale: In, 32 bits; only where it is built.
    z: Out, 32 bits, held until the next.
    valid: Out, `z` is new.
    overflow: Out, flag of `z`; only with `has_overflow`.
    """

    has_tensor_scale: bool = parameter(
        "whether outputs are multiplied by it", default=True, alias="tensor_scale"
    )
    subnormals: bool = Fp32AdderTree.subnormals
    has_overflow: bool = Collector.has_overflow
    recoding: Recoding = FloatMultiplier.recoding

    def ports(self):
        members = {"sum": In(_WIDTH), "sum_valid": In(1), "z": Out(_WIDTH), "valid": Out(1)}
        if self.has_tensor_scale:
            self._multiplier = FloatMultiplier(
                format=FP32, subnormals=self.subnormals, recoding=self.recoding
            )
            members["tensor_scale"] = In(_WIDTH)
        if self.has_overflow:
            members |= {"sum_overflow": In(1), "overflow": Out(1)}
        return members

    latency = property(
        lambda self: 1 + self.has_tensor_scale, doc="Clock cycles from `sum` to `z`."
    )
    registers = property(
        lambda self: self.latency * (_WIDTH + 1 + self.has_overflow),
        doc="Register bits: number, flag and `valid` of each stage.",
    )

    def elaborate(self, platform):
        m = Module()
        names = ["z", *(["overflow"] if self.has_overflow else [])]
        values = [self.sum, *([self.sum_overflow] if self.has_overflow else [])]
        valid = self.sum_valid
        if self.has_tensor_scale:
            m.submodules.multiplier = multiplier = self._multiplier
            valid, values = self._row(m, "operand", names, valid, values)
            m.d.comb += [multiplier.x.eq(values[0]), multiplier.y.eq(self.tensor_scale)]
            values[0] = multiplier.product
        valid, values = self._row(m, "result", names, valid, values)
        m.d.comb += self.valid.eq(valid)
        m.d.comb += [
            getattr(self, name).eq(value) for name, value in zip(names, values, strict=True)
        ]
        return m

    def _row(
        self, m: Module, stage: str, names: list[str], valid: Value, values: list[Value]
    ) -> tuple[Value, list[Value]]:
        """A row of registers: `values` change where `valid`."""
        held: list[Value] = [
            registered(m, f"{stage}_{name}", value, valid)
            for name, value in zip(names, values, strict=True)
        ]
        return registered(m, f"{stage}_valid", valid), held
