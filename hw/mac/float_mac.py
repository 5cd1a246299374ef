# amaranth: UnusedElaboratable=no
"""Floating-point MACs that round product and sum."""

from ...golden.spec import FP8_E4M3, FP8_E5M2, FP32, FloatFormat
from ..floating.exact_multiplier import choose_multiplier
from ..floating.float_accumulator import FloatAccumulator
from ..floating.float_adder import AdderPath
from ..floating.float_common import check_format
from ..floating.float_product import exact_format
from ..parts.unsigned_multiplier import Recoding
from .mac import Mac


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
