"""What the rows of reports cost, in the terms of modelling tools."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...support.errors import UserError
from ...synth.liberty.pdk import node_nm
from ..compare import read, rows_of


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a unit costs on a library.

    Members: `name`: module and library, an identifier; `unit`: as the report calls it; `products`:
    in a cycle; `area_um2` and `leakage_uw`: of the whole unit; `energy_pj`: of a product with all
    around it, `leakage_pj` of which leaks at this clock, `energy_pj_se` its standard error, None
    where there is none; `node_nm`: of the library, None where nobody told; `tensors`: what it was
    measured on.
    """

    name: str
    unit: str
    module: str
    pdk: str
    node_nm: float | None
    clock_mhz: float
    products: int
    area_um2: float
    energy_pj: float
    energy_pj_se: float | None
    leakage_pj: float
    leakage_uw: float
    critical_path_ns: float
    tensors: str

    @property
    def product_area_um2(self) -> float:
        """Of the part that takes one product a cycle."""
        return self.area_um2 / self.products

    @property
    def product_leakage_uw(self) -> float:
        """Of the part that takes one product a cycle."""
        return self.leakage_uw / self.products

    @property
    def dynamic_pj(self) -> float:
        """Of a product, less what leaks."""
        return self.energy_pj - self.leakage_pj

    @property
    def remark(self) -> str:
        """What it is, in a line."""
        products = "product" if self.products == 1 else "products"
        return (
            f"{self.unit}: {self.products} {products} a cycle, {self.pdk}, {self.clock_mhz:g} MHz"
        )


def read_costs(
    reports: Sequence[Path], given_nm: float | None = None
) -> tuple[list[Cost], list[str]]:
    """Costs of all rows, and the names of units that have none, since they computed wrong results
    or miss the clock. `given_nm`: node of libraries that are not known.

    Raises: UserError for a file that is no report of MACs, dot units or tiles, two rows of one
    name, a node given of a library that is known, or no row with an energy.
    """
    costs: dict[str, tuple[Cost, Path]] = {}
    without = []
    for path in reports:
        for cost, unit in _costs(path, given_nm):
            if cost is None:
                without.append(unit)
                continue
            if cost.name in costs:
                other = costs[cost.name][1]
                raise UserError(f"{path}: {cost.name} must be told once, and is in {other} too")
            costs[cost.name] = cost, path
    if not costs:
        names = ", ".join(map(str, reports))
        raise UserError(f"no unit of {names} computes at its clock: nothing to export")
    return [cost for cost, _ in costs.values()], without


def _costs(path: Path, given_nm: float | None) -> Iterator[tuple[Cost | None, str]]:
    report = read(path)
    node = _node(report.pdk, given_nm)
    for _, _, row in rows_of(report):
        own = row.measured
        if not own.usable:
            yield None, row.unit
            continue
        cost = Cost(
            name=identifier(f"{own.slug}_{report.pdk}"),
            unit=row.unit,
            module=own.slug,
            pdk=report.pdk,
            node_nm=node,
            clock_mhz=report.clock_mhz,
            products=getattr(row, "products_per_cycle", getattr(row, "lanes", 1)),
            area_um2=own.area_um2,
            energy_pj=own.energy_pj,
            energy_pj_se=own.energy_pj_se,
            leakage_pj=own.energy_split_pj.leakage,
            leakage_uw=own.leakage_uw,
            critical_path_ns=own.critical_path_ns,
            tensors=report.stimulus.tensors,
        )
        yield cost, row.unit


def _node(pdk: str, given_nm: float | None) -> float | None:
    known = node_nm(pdk)
    if known is not None and given_nm not in (None, known):
        raise UserError(f"the node of {pdk} is {known:g} nm, not {given_nm:g}")
    return given_nm if known is None else known


def known_node(cost: Cost) -> float:
    """The node of its library in nm. Raises: UserError where nobody told."""
    if cost.node_nm is None:
        raise UserError(f"the node of {cost.pdk} must be given: --node-nm")
    return cost.node_nm


def identifier(text: str) -> str:
    """The text as a name of Python, YAML and files: what is neither a letter nor a digit becomes an
    underscore.
    """
    return re.sub(r"\W", "_", text, flags=re.ASCII)
