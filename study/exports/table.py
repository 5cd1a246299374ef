"""Costs as a table of comma-separated values."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..records import significant
from .costs import Cost

_COLUMNS: Mapping[str, Callable[[Cost], Any]] = {
    "name": lambda cost: cost.name,
    "unit": lambda cost: cost.unit,
    "module": lambda cost: cost.module,
    "library": lambda cost: cost.pdk,
    "node_nm": lambda cost: cost.node_nm,
    "clock_mhz": lambda cost: cost.clock_mhz,
    "products_per_cycle": lambda cost: cost.products,
    "area_um2": lambda cost: cost.area_um2,
    "area_um2_per_product": lambda cost: significant(cost.product_area_um2, 6),
    "energy_pj_per_product": lambda cost: cost.energy_pj,
    "energy_pj_per_product_se": lambda cost: cost.energy_pj_se,
    "leakage_pj_per_product": lambda cost: cost.leakage_pj,
    "leakage_uw": lambda cost: cost.leakage_uw,
    "critical_path_ns": lambda cost: cost.critical_path_ns,
    "tensors": lambda cost: cost.tensors,
}


def csv_text(costs: Sequence[Cost]) -> str:
    """A heading and a line for each unit; empty where a report says nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([column(cost) for column in _COLUMNS.values()] for cost in costs)
    return text.getvalue()
