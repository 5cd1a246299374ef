# amaranth: UnusedElaboratable=no
"""Multiply-accumulate units: one wrapper for all of them, so that they can be measured alike."""

from amaranth.hdl import EnableInserter, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from ..parts.component import Component, parameter
from ..parts.gating import CLOCK_GATING
from ..parts.values import named, registered
from .skipping import Skip

_OPERANDS = {"w": "x", "a": "y", "w_zero": "x_zero", "a_zero": "y_zero"}
"""Operand ports of a MAC, each with the port of the multiplier that it feeds, if there is one."""


class MultiplierStage(Component):
    """A combinational multiplier between its operand registers and its product register.

    Latency 2 cycles; `start` travels beside the operands. All registers are reset-less.

    Members
    -------
    w, a: In, widths of the multiplier's `x` and `y`; so `w_zero`, `a_zero`, where it has them.
    load: In, take `w` (and `w_zero`), which else stays; only with `hold`.
    start: In, marks the operands of a sum's first product.
    product: Out, width of the multiplier's `product`.
    product_start: Out, `start` of that product.
    product_valid: Out, the product is to be added; else it is an older one; only with `skip`.
    """

    multiplier: Component = parameter(
        "combinational, with inputs `x`, `y` (and `x_zero`, `y_zero`) and output `product`"
    )
    hold: bool = parameter("whether weights are loaded and then held", default=False)
    skip: Skip | None = parameter("operands that are not taken; None: all are", default=None)

    def ports(self):
        fed = self.multiplier.signature.members
        self._operands = tuple(port for port, input in _OPERANDS.items() if input in fed)
        return {
            **{port: In(fed[_OPERANDS[port]].shape) for port in self._operands},
            **({"load": In(1)} if self.hold else {}),
            "start": In(1),
            "product": Out(len(self.multiplier.product)),
            "product_start": Out(1),
            **({"product_valid": Out(1)} if self.skip is not None else {}),
        }

    operands = property(lambda self: self._operands, doc="Names of the operand ports.")
    latency = property(lambda self: 2, doc="Clock cycles from `w`, `a` to `product`.")

    @property
    def registers(self) -> int:
        """Register bits: the operands, the product, and `start` twice; so what is taken."""
        skipping = 2 + self.skip.registers if self.skip is not None else 0
        operands = sum(len(getattr(self, port)) for port in self.operands)
        return operands + len(self.product) + 2 + skipping

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = self.multiplier
        taken, s1_valid = self._taken(m)
        held = {}
        for port in self.operands:
            enable = self.load if self.hold and port[0] == "w" else taken
            held[port] = registered(m, f"s1_{port}", getattr(self, port), enable)
            m.d.comb += getattr(core, _OPERANDS[port]).eq(held[port])
        s1_start = registered(m, "s1_start", self.start, taken)
        m.d.comb += [
            self.product.eq(registered(m, "s2_product", core.product, s1_valid)),
            self.product_start.eq(registered(m, "s2_start", s1_start, s1_valid)),
        ]
        if self.skip is not None:
            for port in self.operands:
                comes = getattr(self, port)
                if self.hold and port[0] == "w":
                    comes = Mux(self.load, comes, held[port])
                m.d.comb += getattr(self.skip, port).eq(comes)
        return m

    def _taken(self, m: Module) -> tuple[Value | None, Value | None]:
        """Whether the operands are taken, and whether those of the cycle before were; None where
        all are.
        """
        if self.skip is None:
            return None, None
        m.submodules.skip = self.skip
        m.d.comb += self.skip.start.eq(self.start)
        taken = named(m, "taken", ~self.skip.skip)
        s1_valid = registered(m, "s1_valid", taken)
        m.d.comb += self.product_valid.eq(registered(m, "s2_valid", s1_valid))
        return taken, s1_valid


class Mac(Component):
    """Multiply-accumulate: `acc' = (start ? product : acc + product)`, one operation every cycle.

        w, a, start -> [registers] -> multiplier -> [product register] -> accumulator -> [acc
        register]

    Latency 3 cycles from operands to `acc`; throughput one a cycle. There is no reset and no
    enable: `start` defines the state, and an idle cycle is fed `idle_operands`, whose product is
    the additive identity, so that `acc` holds. The submodules `multiplier` and `accumulator` own
    all registers and gates; power and area are split between them.

    With `clock_gating` operands whose product changes no sum are not taken: for their cycle each
    register behind keeps what it has, `acc` included, at the same latency.

    A MAC says what its multiplier and its accumulator are, and which operands it skips. One without
    a multiplier says what its first stage is and names it in `stages`; latency, registers and
    operands follow.

    Members
    -------
    w, a: In, packed codes; so `w_zero`, `a_zero`, where the multiplier has zero points. Those that
        the first stage has.
    load: In, take `w` (and `w_zero`), which else stays: an array that is stationary in weights uses
        each for many operations. Only with `hold`.
    start: In, this product begins a new sum.
    acc: Out, the running sum.
    overflow: Out, integer accumulators only: sticky since `start`.
    """

    hold: bool = MultiplierStage.hold
    clock_gating: bool = CLOCK_GATING

    stages = ("multiplier", "accumulator")
    idle_operands: tuple[int, ...]
    """Codes of the operand ports, in their order, whose product leaves any sum unchanged."""

    def make_multiplier(self) -> Component:
        """The combinational component that `MultiplierStage` takes."""
        raise NotImplementedError

    def make_first_stage(self) -> Component:
        """What feeds the accumulator: operand ports, whose names `operands` tells, `start`,
        `product` and `product_start`.
        """
        return MultiplierStage(multiplier=self.make_multiplier(), hold=self.hold, skip=self._skip())

    def make_skip(self) -> Skip:
        """Which operands change no sum."""
        raise NotImplementedError

    def _skip(self) -> Skip | None:
        return self.make_skip() if self.clock_gating else None

    def make_accumulator(self) -> Component:
        """A component of latency 1: `product`, `start`, `acc` and, for integers, `overflow`."""
        raise NotImplementedError

    def ports(self):
        self._first_stage = stage = self.make_first_stage()
        self._accumulator = accumulator = self.make_accumulator()
        overflow = {"overflow": Out(1)} if self.has_overflow else {}
        return {
            **{port: stage.signature.members[port] for port in self._fed},
            "start": In(1),
            "acc": Out(accumulator.acc.shape()),
            **overflow,
        }

    has_overflow = property(
        lambda self: hasattr(self._accumulator, "overflow"), doc="Whether `overflow` exists."
    )
    operands = property(lambda self: self._first_stage.operands, doc="Names of the operand ports.")
    _fed = property(lambda self: (*self.operands, *(("load",) if self.hold else ())))

    @property
    def idle(self) -> dict[str, int]:
        """Inputs with which `acc` stays; a weight that is held must be idle too."""
        operands = dict(zip(self.operands, self.idle_operands, strict=True))
        return {**operands, **({"load": 1} if self.hold else {}), "start": 0}

    @property
    def latency(self) -> int:
        """Clock cycles from operands to `acc`."""
        return self._first_stage.latency + self._accumulator.latency

    @property
    def registers(self) -> int:
        """Register bits of both stages; the flop count of a faithful netlist."""
        return self._first_stage.registers + self._accumulator.registers

    def elaborate(self, platform):
        m = Module()
        m.submodules[self.stages[0]] = first = self._first_stage
        accumulator = self._accumulator
        skips = EnableInserter(first.product_valid) if self.clock_gating else lambda whole: whole
        m.submodules[self.stages[1]] = skips(accumulator)
        m.d.comb += [
            *(getattr(first, port).eq(getattr(self, port)) for port in self._fed),
            first.start.eq(self.start),
            accumulator.product.eq(first.product),
            accumulator.start.eq(first.product_start),
            self.acc.eq(accumulator.acc),
        ]
        if self.has_overflow:
            m.d.comb += self.overflow.eq(accumulator.overflow)
        return m
