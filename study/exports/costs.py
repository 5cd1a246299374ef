"""What the rows of reports cost, in the terms of modelling tools."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...support.errors import UserError
from ...synth.liberty.pdk import node_nm

_ENERGIES = ("energy_pj_per_mac", "energy_pj_per_product")
"""Keys of a product's energy in rows of MACs and tiles, and of dot units."""


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
    report = _read(path)
    try:
        pdk, clock = report["pdk"], report["clock_mhz"]
        tensors = report["stimulus"]["tensors"]
        node = _node(pdk, given_nm)
        for row in [*report["rows"], *report.get("dots", ())]:
            energy = row[next((key for key in _ENERGIES if key in row), _ENERGIES[0])]
            if energy is None or not row["meets_timing"]:
                yield None, row["unit"]
                continue
            yield (
                Cost(
                    name=identifier(f"{row['slug']}_{pdk}"),
                    unit=row["unit"],
                    module=row["slug"],
                    pdk=pdk,
                    node_nm=node,
                    clock_mhz=clock,
                    products=row.get("products_per_cycle", row.get("lanes", 1)),
                    area_um2=row["area_um2"],
                    energy_pj=energy,
                    energy_pj_se=row.get(
                        "energy_pj_per_product_se", row.get("energy_pj_per_mac_se")
                    ),
                    leakage_pj=row["energy_split_pj"]["leakage"],
                    leakage_uw=row["leakage_uw"],
                    critical_path_ns=row["critical_path_ns"],
                    tensors=tensors,
                ),
                row["unit"],
            )
    except (KeyError, TypeError) as error:
        missing = error.args[0] if isinstance(error, KeyError) else "rows"
        raise UserError(
            f"{path} must be what mlsmac report, dots, tiles or synth --json wrote: "
            f"it lacks {missing!r}"
        ) from None


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise UserError(f"{path} must be a report in JSON") from None


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
