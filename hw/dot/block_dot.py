# amaranth: UnusedElaboratable=no
"""The block-scaled dot unit."""

from amaranth import Module
from amaranth.lib.wiring import In

from ...golden.spec import (
    MAX_BLOCK_CYCLES,
    MAX_BLOCKS,
    MAX_DOT_LANES,
    MAX_WINDOW,
    SCALE_E8M0,
    Accumulate,
    DotWidths,
    ElementFormat,
    Operands,
    ScaleFormat,
)
from ..parts.component import parameter
from ..parts.gating import CLOCK_GATING
from ..parts.stepped import Stepped
from .accumulators import Accumulator, FixedPointSum, Float32Sum
from .dot_stage import DotStage
from .operand_rows import OperandRows, held_form
from .scaling import BlockScaler


class BlockDot(Stepped):
    """`z = fl(sum over blocks of P * S_w * S_a)`: dot products of blocks, scaled and accumulated.

        operands -[- dot -[- (times mantissas -[-) shift by exponents, add -[- convert -> z

    (`[`: a row of registers.) A step takes `lanes` pairs of `groups` groups; a block is a group's
    pairs of `cycles` steps at most. P is exact, and so are both scales; `accumulate` says what an
    output's sum keeps. Throughput one step a cycle; latency 3 cycles, one more with mantissas of
    scales, one more with a float32 sum. No reset, no enable: idle steps are fed zeros and marks 0.
    With `clock_gating` and blocks of several steps the output's sum is loaded once a block.
    Source: docs/numerics.md section 17.

    Members
    -------
    w, a: In, `groups * lanes` operands, a group's side by side: codes, or two's complement.
    w_scale, a_scale: In, `groups` codes, with a block's last step; only with `scale`.
    load: In, this step brings weights and their scales, which else stay; only with `hold`.
    start, last: In, first and last step of the groups' blocks; only where `cycles` are above 1.
    first, finish: In, with a block's last step: an output begins, ends with it; else 0.
    z: Out, float32 code where `valid`, else 0.
    valid: Out, an output is complete.
    overflow: Out, its sum left the window; 0 where not `valid`; only with `flag`.
    """

    format: ElementFormat = parameter("of both operands")
    scale: ScaleFormat | None = parameter("of both scales; None: no scales", default=SCALE_E8M0)
    operands: Operands = OperandRows.operands
    lanes: int = parameter("pairs of a group in a step", low=1, high=MAX_DOT_LANES, default=16)
    groups: int = parameter(
        "groups of a step, each with scales of its own", low=1, high=64, default=1
    )
    cycles: int = parameter("steps of a block at most", low=1, high=MAX_BLOCK_CYCLES, default=1)
    hold: bool = OperandRows.hold
    accumulate: Accumulate = parameter("sum of blocks", default=Accumulate.WINDOW)
    window: int = parameter("bits of a window", low=2, high=MAX_WINDOW, default=40)
    blocks: int = parameter(
        "blocks that an output adds up without overflow", low=1, high=MAX_BLOCKS, default=1024
    )
    flag: bool = parameter("whether outputs may have more blocks, with a flag", default=False)
    clock_gating: bool = CLOCK_GATING

    def rules(self):
        DotStage.check(**self._dot)
        if self.accumulate is Accumulate.FLOAT32:
            if self.flag:
                raise ValueError("flag must be False for float32 sums, not True")
            if self.groups > 1:
                raise ValueError(f"groups must be 1 for float32 sums, not {self.groups!r}")
        self._kind.check(**self._accumulation)
        if self.scale is not None:
            BlockScaler.check(**self._scaling)

    @property
    def widths(self) -> DotWidths:
        """Of its numbers."""
        return DotWidths(
            format=self.format,
            scale=self.scale,
            operands=self.operands,
            products=self.lanes * self.cycles,
            accumulate=self.accumulate,
            window=self.window,
            blocks=self.blocks,
        )

    @property
    def exact_width(self):
        """Bits of an exact sum."""
        return self.widths.acc_width if self.accumulate is Accumulate.EXACT else None

    @property
    def _dot(self):
        return {
            **{name: getattr(self, name) for name in ("format", "lanes", "groups")},
            "form": held_form(self.format, self.operands, self.hold),
            "width": self.widths.sum_width,
            "several": self.cycles > 1,
        }

    @property
    def _exponent_bits(self) -> int:
        """Enough for every exponent, or for one that shifts a term out of the accumulator."""
        widths = self.widths
        bits = widths.max_exponent.bit_length()
        if self.accumulate is Accumulate.WINDOW:
            bits = min(bits, (widths.term_width + widths.guard - 1).bit_length())
        return bits

    @property
    def _scaling(self):
        return {
            "scale": self.scale,
            "groups": self.groups,
            "sum_width": self.widths.sum_width,
            "term_width": self.widths.term_width,
            "exponent_bits": self._exponent_bits,
        }

    @property
    def _kind(self) -> type[Accumulator]:
        return Float32Sum if self.accumulate is Accumulate.FLOAT32 else FixedPointSum

    @property
    def _accumulation(self):
        widths = self.widths
        fixed = {"guard": widths.guard, "width": widths.acc_width, "flag": self.flag}
        return {
            "groups": self.groups,
            "term_width": widths.term_width,
            "exponent_bits": self._exponent_bits,
            "unit": widths.unit,
            "ahead": 2 + bool(widths.scale_man_bits),
            "gated": self.clock_gating and self.cycles > 1,
            **({} if self.accumulate is Accumulate.FLOAT32 else fixed),
        }

    def ports(self):
        self._rows = OperandRows(
            format=self.format,
            operands=self.operands,
            count=self.groups * self.lanes,
            groups=self.groups,
            scale=self.scale,
            hold=self.hold,
        )
        self._products = DotStage(**self._dot)
        self._scaler = BlockScaler(**self._scaling) if self.scale is not None else None
        self._sum = self._kind(**self._accumulation)
        fed = self._rows.signature.members
        marks = ("start", "last", "first", "finish") if self.cycles > 1 else ("first", "finish")
        told = ("z", "valid", *(("overflow",) if self.flag else ()))
        return {
            **{port: member for port, member in fed.items() if not port.endswith("_row")},
            **{mark: In(1) for mark in marks},
            **{port: self._sum.signature.members[port] for port in told},
        }

    @property
    def stages(self) -> tuple[str, ...]:
        """Submodules that own all gates."""
        return ("operands", "dot", *(("scale",) if self.scale else ()), "accumulate")

    @property
    def _parts(self):
        parts = (self._rows, self._products, self._scaler, self._sum)
        return [part for part in parts if part is not None]

    latency = property(
        lambda self: sum(part.latency for part in self._parts),
        doc="Clock cycles from an output's last operands to `z`.",
    )

    @property
    def registers(self) -> int:
        """Register bits: those of the stages."""
        return sum(part.registers for part in self._parts)

    def elaborate(self, platform):
        m = Module()
        for name, part in zip(self.stages, self._parts, strict=True):
            m.submodules[name] = part
        rows, products, scaler, total = self._rows, self._products, self._scaler, self._sum
        for port in rows.signature.members:
            if not port.endswith("_row"):
                m.d.comb += getattr(rows, port).eq(getattr(self, port))
        m.d.comb += [products.w.eq(rows.w_row), products.a.eq(rows.a_row)]
        if self._sum.gated:
            m.d.comb += total.last.eq(self.last)
        if self.cycles > 1:
            m.d.comb += [products.start.eq(self.start), products.last.eq(self.last)]
        m.d.comb += [
            total.term.eq(scaler.term if scaler else products.sums),
            total.first.eq(self.first),
            total.finish.eq(self.finish),
        ]
        if scaler is not None:
            m.d.comb += [
                scaler.w_scale.eq(rows.w_scale_row),
                scaler.a_scale.eq(rows.a_scale_row),
                scaler.p.eq(products.sums),
                total.exponent.eq(scaler.exponent),
            ]
        m.d.comb += [getattr(self, port).eq(getattr(total, port)) for port in ("z", "valid")]
        if self.flag:
            m.d.comb += self.overflow.eq(total.overflow)
        return m
