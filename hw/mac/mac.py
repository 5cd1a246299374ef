# amaranth: UnusedElaboratable=no
"""Multiply-accumulate units: one wrapper for all of them, so that they can be measured alike."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..parts.values import registered

_OPERANDS = {"w": "x", "a": "y", "w_zero": "x_zero", "a_zero": "y_zero"}
"""Operand ports of a MAC, each with the port of the multiplier that it feeds, if there is one."""


class MultiplierStage(wiring.Component):
    """A combinational multiplier between its operand registers and its product register.

    Latency 2 cycles; `start` travels beside the operands. All registers are reset-less.

    Parameters
    ----------
    multiplier: combinational component with inputs `x`, `y` (and `x_zero`, `y_zero`) and output
        `product`.

    Members
    -------
    w, a: In, widths of the multiplier's `x` and `y`; so `w_zero`, `a_zero`, where it has them.
    start: In, marks the operands of a sum's first product.
    product: Out, width of the multiplier's `product`.
    product_start: Out, `start` of that product.
    """

    def __init__(self, *, multiplier: wiring.Component):
        self._multiplier = multiplier
        fed = multiplier.signature.members
        self._operands = tuple(port for port, input in _OPERANDS.items() if input in fed)
        super().__init__(
            {
                **{port: In(fed[_OPERANDS[port]].shape) for port in self._operands},
                "start": In(1),
                "product": Out(len(multiplier.product)),
                "product_start": Out(1),
            }
        )

    multiplier = property(lambda self: self._multiplier, doc="The combinational multiplier.")
    operands = property(lambda self: self._operands, doc="Names of the operand ports.")
    latency = property(lambda self: 2, doc="Clock cycles from `w`, `a` to `product`.")

    @property
    def registers(self) -> int:
        """Register bits: the operands, the product, and `start` twice."""
        return sum(len(getattr(self, port)) for port in self.operands) + len(self.product) + 2

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = self.multiplier
        for port in self.operands:
            operand = registered(m, f"s1_{port}", getattr(self, port))
            m.d.comb += getattr(core, _OPERANDS[port]).eq(operand)
        s1_start = Signal(reset_less=True)
        s2_product = Signal(len(self.product), reset_less=True)
        s2_start = Signal(reset_less=True)
        m.d.sync += [
            s1_start.eq(self.start),
            s2_product.eq(core.product),
            s2_start.eq(s1_start),
        ]
        m.d.comb += [
            self.product.eq(s2_product),
            self.product_start.eq(s2_start),
        ]
        return m


class Mac(wiring.Component):
    """Multiply-accumulate: `acc' = (start ? product : acc + product)`, one operation every cycle.

        w, a, start -> [registers] -> multiplier -> [product register] -> accumulator -> [acc
        register]

    Latency 3 cycles from operands to `acc`; throughput one a cycle. There is no reset and no
    enable: `start` defines the state, and an idle cycle is fed `idle_operands`, whose product is
    the additive identity, so that `acc` holds. The submodules `multiplier` and `accumulator` own
    all registers and gates; power and area are split between them.

    Parameters
    ----------
    multiplier: combinational component, as MultiplierStage takes it.
    accumulator: component of latency 1 (`product`, `start`, `acc` and, for integers, `overflow`).
    idle_operands: codes of the operand ports, in their order, whose product leaves any sum
        unchanged.

    Members
    -------
    w, a: In, packed codes; so `w_zero`, `a_zero`, where the multiplier has zero points.
    start: In, this product begins a new sum.
    acc: Out, the running sum.
    overflow: Out, integer accumulators only: sticky since `start`.
    """

    def __init__(self, *, multiplier, accumulator, idle_operands: tuple[int, ...]):
        self._multiplier = stage = MultiplierStage(multiplier=multiplier)
        self._accumulator = accumulator
        self._idle_operands = idle_operands
        members = {
            **{port: stage.signature.members[port] for port in stage.operands},
            "start": In(1),
            "acc": Out(accumulator.acc.shape()),
        }
        if self.has_overflow:
            members["overflow"] = Out(1)
        super().__init__(members)

    has_overflow = property(
        lambda self: hasattr(self._accumulator, "overflow"), doc="Whether `overflow` exists."
    )
    operands = property(lambda self: self._multiplier.operands, doc="Names of the operand ports.")
    idle_operands = property(
        lambda self: self._idle_operands, doc="Codes of the operand ports in an idle cycle."
    )

    recoding = property(
        lambda self: self._multiplier.multiplier.recoding, doc="Of the significand multiplier."
    )

    stages = property(
        lambda self: ("multiplier", "accumulator"),
        doc="Names of the submodules, in the order in which data passes them.",
    )

    @property
    def latency(self) -> int:
        """Clock cycles from operands to `acc`."""
        return self._multiplier.latency + self._accumulator.latency

    @property
    def registers(self) -> int:
        """Register bits of both stages; the flop count of a faithful netlist."""
        return self._multiplier.registers + self._accumulator.registers

    def elaborate(self, platform):
        m = Module()
        m.submodules.multiplier = multiplier = self._multiplier
        m.submodules.accumulator = accumulator = self._accumulator
        m.d.comb += [
            *(getattr(multiplier, port).eq(getattr(self, port)) for port in self.operands),
            multiplier.start.eq(self.start),
            accumulator.product.eq(multiplier.product),
            accumulator.start.eq(multiplier.product_start),
            self.acc.eq(accumulator.acc),
        ]
        if self.has_overflow:
            m.d.comb += self.overflow.eq(accumulator.overflow)
        return m
