"""The systems that the report compares: each MAC, and what its own paper claims for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..golden.spec import AUTO
from ..units import Configuration, configure
from .rows import Claim

# Of the multiplier and the local accumulator, mW at 100 MHz in TSMC 65 nm, by Design Compiler.
TABLE_5 = {"fp32": (0.532, 0.140), "fp8": (0.023, 0.140), "mls": (0.0192, 0.0094)}


def _table_5(unit: str) -> Claim:
    """A column of the MLS paper's Table 5; an operation a cycle of 10 ns."""
    energies = {name: round(10 * sum(mw), 4) for name, mw in TABLE_5.items()}
    ratios = (round(energies[base] / energies[unit], 2) for base in ("fp32", "fp8"))
    return Claim("MLS paper, Table 5, 65 nm", energies[unit], *ratios)


_FP32, _FP8, _MLS = (_table_5(unit) for unit in TABLE_5)
_LNS = Claim("LNS-Madam, processing element, sub-16 nm", None, 11.0, 2.2)

BASELINES = {
    "fp32": "FP32, product and sum",
    "fp8": "FP8 with FP32 sums",
    "fp8_any": "FP8 with any accumulator",
}
"""Kinds of unit that ratios are against, in words."""


@dataclass(frozen=True)
class Entry:
    """A row of a report: a label, the unit with its options, the kinds of baseline that it is one
    of, and what its paper claims; `ready`: the configuration where it is not the unit's own.
    """

    label: str
    unit: str
    options: Mapping[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    claim: Claim | None = None
    ready: Configuration | None = None

    def configuration(self) -> Configuration:
        """The unit's configuration."""
        return self.ready or configure(self.unit, **self.options)


_WITH_FP32 = ("fp8", "fp8_any")
# The width that is proven for the longest group of the stimulus: no sum can overflow, and an
# accumulator that wraps is the cheaper one.
_PROVEN = {"acc_width": AUTO, "overflow": "wrap"}
# The widths of the papers: of INT8, of LNS-Madam, of the MLS paper's text.
_INT32 = {"acc_width": 32, "overflow": "wrap"}
_LNS24, _MLS16 = {"acc_width": 24}, {"acc_width": 16}
_FLUSH = {"subnormals": False}


def _sums(format: str, sum_format: str) -> dict[str, str]:
    return {"format": format, "acc_format": sum_format}


ENTRIES = (
    Entry("FP32", "fp32_mac", {"subnormals": True}, ("fp32",), _FP32),
    Entry("FP32 flush", "fp32_mac", _FLUSH, ("fp32",), _FP32),
    Entry("BF16, FP32 sum", "float_mac", {**_sums("bf16", "fp32"), **_FLUSH}),
    Entry("FP16, FP32 sum", "float_mac", {**_sums("fp16", "fp32"), **_FLUSH}),
    Entry("FP8 E5M2", "fp8_mac", {"format": "e5m2"}, _WITH_FP32, _FP8),
    Entry("FP8 E4M3", "fp8_mac", {"format": "e4m3"}, _WITH_FP32, _FP8),
    Entry("E5M2, FP16 <6,9> sum", "fused_mac", _sums("e5m2", "6,9"), ("fp8_any",)),
    Entry("E4M3, FP16 <6,9> sum", "fused_mac", _sums("e4m3", "6,9"), ("fp8_any",)),
    Entry("E5M2, FP12 <6,5> sum", "fused_mac", _sums("e5m2", "6,5"), ("fp8_any",)),
    Entry("E4M3, FP12 <6,5> sum", "fused_mac", _sums("e4m3", "6,5"), ("fp8_any",)),
    Entry("E5M2, exact sum", "kulisch_mac", {"format": "e5m2", **_PROVEN}, ("fp8_any",)),
    Entry("E4M3, exact sum", "kulisch_mac", {"format": "e4m3", **_PROVEN}, ("fp8_any",)),
    Entry("INT8", "int_mac", _INT32),
    Entry("INT8, proven sum", "int_mac", _PROVEN),
    Entry("INT8, zero points", "int_mac", {"zero_points": True, **_INT32}),
    Entry("INT8 x INT16", "int_mac", {"a_format": "int16", **_INT32}),
    Entry("LNS8", "lns_mac", _LNS24, (), _LNS),
    Entry("LNS8, hybrid", "lns_mac", {"table_bits": 2, **_LNS24}, (), _LNS),
    Entry("LNS8, Mitchell", "lns_mac", {"table_bits": 0, **_LNS24}),
    Entry("MLS <2,4>", "mls_mac", {"format": "2,4", **_MLS16}, (), _MLS),
    Entry("MLS <2,4>, proven sum", "mls_mac", {"format": "2,4", **_PROVEN}),
    Entry("MLS <2,1>", "mls_mac", {"format": "2,1", **_MLS16}, (), _MLS),
)
