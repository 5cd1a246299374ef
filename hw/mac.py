# amaranth: UnusedElaboratable=no
"""Multiply-accumulate units: one wrapper for all of them, so that they can be measured alike."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.formats import (
    FP8_E4M3,
    FP8_E5M2,
    FP32,
    ElementFormat,
    FloatFormat,
    Overflow,
)
from .accumulator import FloatAccumulator, IntAccumulator
from .exact_multiplier import choose_multiplier
from .float_adder import AdderPath
from .float_common import check_format
from .float_product import exact_format
from .mls_multiplier import MlsMultiplier
from .unsigned_multiplier import Recoding
from .values import registered

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


class MlsMac(Mac):
    """MLS intra-group MAC: exact element products into a signed integer accumulator.

    `acc` is in units of `2^-(2 * element.fraction_bits)`. Saturation depends on the order of the
    products. Source: docs/numerics.md section 4 (the paper's Eq. 7).

    Parameters
    ----------
    element: ElementFormat of both operands.
    acc_width: accumulator bits, 2..128; `min_acc_width(element, length)` is proven safe for
        `length` products.
    overflow: Overflow policy.
    recoding: of the significand multiplier.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        element: ElementFormat,
        acc_width: int = 16,
        overflow: Overflow = Overflow.SATURATE,
        recoding: Recoding = Recoding.NONE,
    ):
        multiplier = MlsMultiplier(element=element, recoding=recoding)
        self._element = element
        super().__init__(
            multiplier=multiplier,
            accumulator=IntAccumulator(
                width=acc_width, product_width=element.product_width, overflow=overflow
            ),
            idle_operands=(0, 0),
        )

    element = property(lambda self: self._element, doc="Format of both operands.")
    acc_width = property(lambda self: self._accumulator.width, doc="Accumulator bits.")
    policy = property(
        lambda self: self._accumulator.policy, doc="The `overflow` policy; `overflow` is the port."
    )


class FloatMac(Mac):
    """Floating-point MAC: `acc' = fl(acc + fl(w * a))`, IEEE 754 nearest even.

    The product goes to the accumulator in `product_format`: for FP8 operands a small format that
    holds every product exactly, so nothing is rounded and few bits are registered.
    Source: docs/numerics.md section 5.

    Parameters
    ----------
    format: FloatFormat of the operands.
    acc_format: FloatFormat of the accumulator.
    product_format: FloatFormat of the product, as `FloatAccumulator` takes it; by default the
        shortest that holds products rounded to `acc_format`.
    subnormals: keep the accumulator's subnormals (True) or flush them to zero.
    recoding: of the significand multiplier.
    path: of the adder.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        format: FloatFormat,
        acc_format: FloatFormat,
        product_format: FloatFormat | None = None,
        subnormals: bool = True,
        recoding: Recoding = Recoding.NONE,
        path: AdderPath = AdderPath.SPLIT,
    ):
        check_format("format", format)
        check_format("acc_format", acc_format)
        self._format = format
        self._acc_format = acc_format
        self._subnormals = subnormals
        # Operands of smaller range than the accumulator keep their subnormals: they are ordinary
        # values there, and so are their products.
        keep = subnormals or format.min_exp > acc_format.min_exp
        smallest = 2 * (format.min_exp - format.man_bits)
        if keep and not subnormals and smallest < acc_format.min_exp:
            rule = f"subnormals must be True for products of {format} in {acc_format}"
            raise ValueError(f"{rule}, whose smallest are subnormal, not {subnormals!r}")
        if product_format is None:
            product_format = self._shortest_product(keep)
        self._product_format = product_format
        super().__init__(
            multiplier=choose_multiplier(format, product_format, recoding, subnormals=keep),
            accumulator=FloatAccumulator(
                format=acc_format, product_format=product_format, subnormals=subnormals, path=path
            ),
            idle_operands=(1 << (format.code_width - 1), 0),
        )

    def _shortest_product(self, keep: bool) -> FloatFormat:
        """A format no longer than the accumulator's that holds every rounded product: no register
        bit is always zero.
        """
        fmt, acc = self._format, self._acc_format
        exact = exact_format(fmt, acc, subnormals=self._subnormals)
        if exact is not None and exact.man_bits <= acc.man_bits:
            return exact
        if keep:
            return acc
        return FloatFormat(acc.exp_bits, min(acc.man_bits, 2 * fmt.man_bits + 1), acc.specials)

    format = property(lambda self: self._format, doc="Format of the operands.")
    acc_format = property(lambda self: self._acc_format, doc="Format of `acc`.")
    product_format = property(lambda self: self._product_format, doc="Format of the product.")
    subnormals = property(lambda self: self._subnormals, doc="Whether subnormals are kept.")
    path = property(lambda self: self._accumulator.path, doc="Structure of the adder.")


class Fp32Mac(FloatMac):
    """IEEE 754 binary32 MAC, product rounded before the add.

    Parameters
    ----------
    subnormals: keep subnormals (True) or flush them to zero, operands and results.
    recoding: of the significand multiplier.
    path: of the adder.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        subnormals: bool = True,
        recoding: Recoding = Recoding.NONE,
        path: AdderPath = AdderPath.SPLIT,
    ):
        super().__init__(
            format=FP32,
            acc_format=FP32,
            subnormals=subnormals,
            recoding=recoding,
            path=path,
        )


class Fp8Mac(FloatMac):
    """FP8 MAC: exact product, FP32 accumulate.

    Every sum is a multiple of the smallest product, 2^-32 (E5M2) or 2^-18 (E4M3): FP32 subnormals
    never occur, so the accumulator is built without them and is still bit-exact.

    Parameters
    ----------
    format: FP8_E5M2 or FP8_E4M3 (OCP).
    recoding: of the significand multiplier.
    path: of the adder.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        format: FloatFormat,
        recoding: Recoding = Recoding.NONE,
        path: AdderPath = AdderPath.SPLIT,
    ):
        if format not in (FP8_E4M3, FP8_E5M2):
            raise ValueError(f"format must be FP8_E5M2 or FP8_E4M3 (e5m2, e4m3), not {format!r}")
        super().__init__(
            format=format,
            acc_format=FP32,
            product_format=exact_format(format, FP32, subnormals=False),
            subnormals=False,
            recoding=recoding,
            path=path,
        )
