"""Costs as a package of hwcomponents models, which AccelForge maps workloads to."""

import importlib.metadata
from collections.abc import Sequence

from ...support.errors import UserError
from ..records import significant
from .costs import Cost, known_node

PACKAGE = "hwcomponents_mlsmac"
_FINEST_NM, _COARSEST_NM = 7, 130
"""Between which hwcomponents scales."""

_PROJECT = """\
[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"

[project]
name = "hwcomponents-mlsmac"
version = "{version}"
description = "Multiply-accumulate units measured by mlsmac, as models of hwcomponents"
requires-python = ">=3.12"
dependencies = ["hwcomponents"]

[tool.setuptools]
packages = ["{package}"]
"""

_MODULE = '''\
"""Multiply-accumulate units measured by mlsmac {version}: of a dot unit or a tile the part that
takes one product a cycle, with its share of scales, sums and outputs. No wires, no clock tree.
"""

from hwcomponents import ActionCost, ComponentModel, action


class _Unit(ComponentModel):
    """One product a cycle, at the clock at which it was measured; `tech_node` in m."""

    priority = 0.9

    def __init__(self, tech_node: float | None = None):
        super().__init__(leak_power=self.leakage_w, area=self.area_m2)
        target = self.measured_node if tech_node is None else tech_node
        self.tech_node = self.scale_tech_node(target, self.measured_node)

    @action
    def compute(self) -> ActionCost:
        """A product and its addition; leakage is told apart."""
        return self._cost()

    @action
    def mac(self) -> ActionCost:
        """The same."""
        return self._cost()

    def _cost(self) -> ActionCost:
        return ActionCost(
            energy=self.energy_j, latency=1 / self.clock_hz, throughput=self.clock_hz
        )
'''

_CLASS = '''

class {name}(_Unit):
    """{remark}."""

    component_name = "{name}"
    measured_node = {node_nm:g}e-9
    clock_hz = {clock_mhz:g}e6
    area_m2 = {area_um2}e-12
    energy_j = {energy_pj}e-12
    leakage_w = {leakage_uw}e-6
'''


def hwcomponents_files(costs: Sequence[Cost]) -> dict[str, str]:
    """A distribution for pip, or a folder for PYTHONPATH: its models scale from each library's own
    node. Raises: UserError for a library of an unknown node, or of one that does not scale.
    """
    for cost in costs:
        if not _FINEST_NM <= known_node(cost) <= _COARSEST_NM:
            raise UserError(
                f"hwcomponents scales between {_FINEST_NM} and {_COARSEST_NM} nm, and {cost.pdk} "
                f"is of {cost.node_nm:g} nm: export what was measured with --pdk sky130, sg13g2 "
                "or asap7"
            )
    version = importlib.metadata.version("mlsmac")
    module = _MODULE.format(version=version) + "".join(
        _CLASS.format(
            name=cost.name,
            remark=cost.remark.replace("\\", "\\\\").replace('"', "'"),
            node_nm=cost.node_nm,
            clock_mhz=cost.clock_mhz,
            area_um2=significant(cost.product_area_um2, 6),
            energy_pj=significant(cost.dynamic_pj, 6),
            leakage_uw=significant(cost.product_leakage_uw, 6),
        )
        for cost in costs
    )
    return {
        "pyproject.toml": _PROJECT.format(version=version, package=PACKAGE),
        f"{PACKAGE}/__init__.py": module,
    }
