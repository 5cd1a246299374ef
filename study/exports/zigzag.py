"""Costs as operational arrays of ZigZag."""

from collections.abc import Sequence

from ..records import significant
from .costs import Cost

_ARRAY = """\
# {remark}.
# In an accelerator's file in the place of its own; dimensions and sizes are the accelerator's.
operational_array:
  unit_energy: {energy_pj}  # pJ a product, leakage at this clock included
  unit_area: {area_mm2}  # mm2, of the part that takes one product a cycle
"""


def zigzag_files(costs: Sequence[Cost]) -> dict[str, str]:
    """A file `<name>.yaml` for each unit."""
    return {
        f"{cost.name}.yaml": _ARRAY.format(
            remark=cost.remark,
            energy_pj=significant(cost.energy_pj, 6),
            area_mm2=f"{cost.product_area_um2 * 1e-6:.9f}",
        )
        for cost in costs
    }
