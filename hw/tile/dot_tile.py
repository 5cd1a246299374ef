# amaranth: UnusedElaboratable=no
"""The tile of dot units: a dot of one group in each lane, one sum of all lanes, tensor scale."""

from amaranth.lib.wiring import In, Out

from ...golden.spec import (
    FP32,
    SCALE_E8M1,
    Accumulate,
    ElementFormat,
    Operands,
    ScaleFormat,
)
from ..dot.block_dot import BlockDot
from ..parts.component import parameter, with_default
from ..parts.stepped import Stepped
from .tile_stages import TileOutput


class DotTile(Stepped):
    """`z = fl(fl(sum over steps and lanes of P * S_w * S_a) * tensor_scale)`.

        lanes of dots, scaled and added up (`BlockDot`, a group a lane) -[- * tensor scale -[- z

    Each step takes a group of up to `products` pairs in each lane, say a 3x3 kernel, with its two
    group scales; all lanes' terms and the sum so far go through one tree. An output is the sum of
    the steps from `first` to `finish`. Throughput one step a cycle, at any length of an output;
    latency that of the dots, and 2 cycles more with the tensor scale, 1 without. An idle cycle has
    zero operands and marks 0; an idle lane, or place of a lane, zeros. No reset and no stall: the
    first step must be a whole output, and so defines the state.
    Source: docs/numerics.md sections 17 and 19.

    Members
    -------
    w, a: In, `lanes * products` operands, a lane's side by side: codes, or two's complement.
    w_scale, a_scale: In, scale codes {eg, mg} of each lane; only with `scale`.
    first, finish: In, an output begins, ends with this step.
    tensor_scale: In, 32 bits, constant while outputs are under way; only where it is built.
    z: Out, 32 bits, float32 code of the newest output.
    valid: Out, `z` is new.
    overflow: Out, the sum of `z` left the window; only with `flag`.
    """

    format: ElementFormat = BlockDot.format
    scale: ScaleFormat | None = with_default(BlockDot.scale, SCALE_E8M1)
    operands: Operands = with_default(BlockDot.operands, Operands.DECODER)
    lanes: int = parameter("dots, each with scales of its own", low=1, high=64, default=16)
    products: int = parameter("of a lane in a step", low=1, high=1024, default=9)
    accumulate: Accumulate = BlockDot.accumulate
    window: int = BlockDot.window
    blocks: int = BlockDot.blocks
    flag: bool = BlockDot.flag
    clock_gating: bool = BlockDot.clock_gating
    has_tensor_scale: bool = TileOutput.has_tensor_scale

    def rules(self):
        if self.accumulate is Accumulate.FLOAT32 and self.lanes > 1:
            raise ValueError(f"lanes must be 1 for float32 sums, not {self.lanes!r}")
        BlockDot.check(**self._of_dots)

    @property
    def _of_dots(self):
        names = (
            *("format", "scale", "operands", "accumulate", "window", "blocks", "flag"),
            "clock_gating",
        )
        own = {name: getattr(self, name) for name in names}
        return {**own, "lanes": self.products, "groups": self.lanes}

    def ports(self):
        self._dots = BlockDot(**self._of_dots)
        self._output = TileOutput(tensor_scale=self.has_tensor_scale, has_overflow=self.flag)
        dots, output = self._dots.signature.members, self._output.signature.members
        fed = {port: member for port, member in dots.items() if member.flow is In}
        scale = {"tensor_scale": In(FP32.code_width)} if self.has_tensor_scale else {}
        told = {port: member for port, member in output.items() if member.flow is Out}
        return {**fed, **scale, **told}

    exact_width = property(lambda self: self._dots.exact_width, doc="Bits of an exact sum.")
    dots = property(lambda self: self._dots, doc="The dot units, as one.")
    _parts = property(lambda self: (self._dots, self._output))
    stages = property(
        lambda self: (*self._dots.stages, "output"), doc="Submodules that own all gates."
    )
    latency = property(
        lambda self: sum(part.latency for part in self._parts),
        doc="Clock cycles from the step with `finish` to `z`.",
    )
    registers = property(
        lambda self: sum(part.registers for part in self._parts), doc="Register bits."
    )

    def elaborate(self, platform):
        dots, output = self._parts
        m = dots.elaborate(platform)  # whose stages are the tile's own
        m.submodules.output = output
        for port, member in self.signature.members.items():
            if member.flow is Out:
                m.d.comb += getattr(self, port).eq(getattr(output, port))
            else:
                part = output if port == "tensor_scale" else dots
                m.d.comb += getattr(part, port).eq(getattr(self, port))
        m.d.comb += [output.sum.eq(dots.z), output.sum_valid.eq(dots.valid)]
        if self.flag:
            m.d.comb += output.sum_overflow.eq(dots.overflow)
        return m
