"""Costs as components of Accelergy's library plug-in, which scales them to other nodes."""

from collections.abc import Sequence

from ..records import significant
from .costs import Cost, known_node

# The plug-in wants `read`, `write` and `update` of every component.
_COMPONENT = """\
# {remark}
technology,global_cycle_seconds,energy,area,action
{node}nm,{cycle},{energy_pj},{area_um2},compute|read
{node}nm,{cycle},{leakage_pj},{area_um2},leak
{node}nm,{cycle},0,{area_um2},write|update
"""


def accelergy_files(costs: Sequence[Cost]) -> dict[str, str]:
    """A file `<name>.csv` for each unit: energies in pJ (`leak`: of a cycle), areas in square
    micrometres, of the part that takes one product a cycle. Raises: UserError for a library of an
    unknown node.
    """
    return {
        f"{cost.name}.csv": _COMPONENT.format(
            remark=cost.remark,
            node=f"{known_node(cost):g}",
            cycle=f"{1e-6 / cost.clock_mhz:.6g}",
            energy_pj=significant(cost.dynamic_pj, 6),
            leakage_pj=significant(cost.product_leakage_uw / cost.clock_mhz, 6),
            area_um2=significant(cost.product_area_um2, 6),
        )
        for cost in costs
    }
