"""Costs as tables of Accelergy's table-based plug-in: a set for each library."""

from collections.abc import Sequence

from ..records import significant
from .costs import Cost, identifier

_SET = """\
name: mlsmac_{folder}
technology: {technology}
accuracy: 90
path_to_data_dir: ./{folder}
"""

_TABLE = """\
technology,action,energy,area
{technology},compute,{energy_pj},{area_um2}
{technology},leak,{leakage_pj},{area_um2}
"""


def accelergy_files(costs: Sequence[Cost]) -> dict[str, str]:
    """`<library>.table.yaml` and, in a folder of the library's name, a table for each unit, whose
    class is its module's name: energies in pJ (`leak`: of a cycle of the measured clock), areas in
    square micrometres, of the part that takes one product a cycle.
    """
    files = {}
    for cost in costs:
        folder = identifier(cost.pdk)
        files[f"{folder}.table.yaml"] = _SET.format(folder=folder, technology=cost.pdk)
        files[f"{folder}/{cost.module}.csv"] = _TABLE.format(
            technology=cost.pdk,
            energy_pj=significant(cost.dynamic_pj, 6),
            leakage_pj=significant(cost.product_leakage_uw / cost.clock_mhz, 6),
            area_um2=significant(cost.product_area_um2, 6),
        )
    return files
