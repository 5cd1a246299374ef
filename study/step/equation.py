"""The paper's Eq. 9: what a product of FP32, FP8 and MLS takes, local sum, scaler and tree
included; with its constants, and with measured energies.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..quantizer_report import ADDER
from ..records import significant
from ..systems import TABLE_5
from .rows import EquationRow
from .units import MeasuredUnits

KERNEL = 9
"""Products of a local sum, one addition of the tree each: a 3 x 3 kernel."""


@dataclass(frozen=True)
class Terms:
    """Energies a product: FP32 and FP8 with their tree; MLS, its scaler and its tree; `other`: what
    does not depend on the format.
    """

    fp32: float
    fp8: float
    mls: float
    scale: float
    mls_tree: float
    other: float = 0.0

    @property
    def whole(self) -> float:
        """Of MLS."""
        return self.mls + self.scale + self.mls_tree + self.other

    @property
    def to_fp32(self) -> float:
        """FP32 over MLS."""
        return (self.fp32 + self.other) / self.whole

    @property
    def to_fp8(self) -> float:
        """FP8 over MLS."""
        return (self.fp8 + self.other) / self.whole


MULTIPLICATION = 4.0
"""In C, a float32 addition, as all of Eq. 9; FP8's and MLS's takes 1/7 of it."""
_SMALL_MULTIPLICATION = MULTIPLICATION / 7
_SMALL_ADDITION = 1 / 20
"""Of 16-bit integers, and a scaling."""


def by_paper(products: float, other: float = 0.0) -> Terms:
    """With the paper's constants; `products` of a local sum."""
    tree = 1 / products
    return Terms(
        fp32=MULTIPLICATION + 1 + tree,
        fp8=_SMALL_MULTIPLICATION + 1 + tree,
        mls=_SMALL_MULTIPLICATION + _SMALL_ADDITION,
        scale=_SMALL_ADDITION * tree,
        mls_tree=tree,
        other=other,
    )


@dataclass(frozen=True)
class Operations:
    """A column of the paper's Table 1, forward and backward."""

    convolutions: float
    batch_norm: float
    adds: float
    update: float

    @property
    def other(self) -> float:
        """All but convolutions, in C an operation of these."""
        norm = (MULTIPLICATION + 1) * self.batch_norm
        return (norm + self.adds + self.update) / self.convolutions


TABLE_1 = {
    "ResNet-18": Operations(2.72e10 + 5.44e10, 3.01e7 + 3.01e7, 1.49e7 + 1.20e7, 1.12e7),
    "ResNet-20": Operations(4.05e7 + 8.11e7, 1.88e5 + 1.88e5, 7.37e4 + 7.37e4, 2.68e5),
}


def by_table_5() -> Terms:
    """With the powers of the paper's own Table 5, mW; the tree adds float32."""
    (_, addition), fp8, mls = (TABLE_5[unit] for unit in ("fp32", "fp8", "mls"))
    tree = addition / KERNEL
    return Terms(sum(TABLE_5["fp32"]) + tree, sum(fp8) + tree, sum(mls), mls[1] / KERNEL, tree)


def by_macs(units: MeasuredUnits, lanes: int) -> Terms | None:
    """With measured MACs, a tile's scaler, and the float32 adder for the tree; None where one of
    them is missing.
    """
    macs = [units.find("macs", label) for label in ("FP32 flush", "FP8 E5M2", "MLS <2,4>")]
    tile, adder = units.find("tiles", "MLS <2,4>", lanes), units.find("parts", ADDER.label)
    if None in macs or tile is None or adder is None:
        return None
    fp32, fp8, mls = (unit.energy_pj for unit in macs if unit)
    tree = adder.energy_pj / KERNEL
    return Terms(fp32 + tree, fp8 + tree, mls, tile.by_stage_pj["scalers"], tree)


def by_tiles(units: MeasuredUnits, lanes: int) -> Iterator[tuple[str, Terms]]:
    """With measured tiles, by the tree of MLS."""
    fp32, fp8 = (units.find("tiles", label, lanes) for label in ("FP32 flush", "FP8 E5M2"))
    if fp32 is None or fp8 is None:
        return
    for label, tree in (
        ("MLS <2,4>", "float32"),
        ("MLS <2,4> aligned", "aligned"),
        ("MLS <2,4> exact, <4,1>", "exact"),
    ):
        mls = units.find("tiles", label, lanes)
        if mls is not None:
            stages = mls.by_stage_pj
            yield (
                tree,
                Terms(
                    fp32=fp32.energy_pj,
                    fp8=fp8.energy_pj,
                    mls=stages["macs"],
                    scale=stages["collector"] + stages["scalers"],
                    mls_tree=stages["tree"] + stages["output"],
                ),
            )


def equation(units: MeasuredUnits, lanes: int) -> tuple[EquationRow, ...]:
    """Eq. 9 with the paper's constants, then with others."""
    rows = [
        _row("Eq. 9, 3 x 3 kernels", "C", by_paper(KERNEL)),
        _row("Eq. 9, 1 x 1 kernels", "C", by_paper(1)),
        *(
            _row(f"Eq. 9 and the rest of Table 1, {name}", "C", by_paper(KERNEL, counts.other))
            for name, counts in TABLE_1.items()
        ),
        _row("the paper's Table 5", "mW", by_table_5()),
    ]
    if macs := by_macs(units, lanes):
        rows.append(_row("measured MACs, scaler, FP32 adder", "pJ", macs))
        rows.append(_row("the same", "C", in_additions(macs, units)))
    tiles = by_tiles(units, lanes)
    return (*rows, *(_row(f"measured tile, {tree} tree", "pJ", own) for tree, own in tiles))


def in_additions(terms: Terms, units: MeasuredUnits) -> Terms:
    """In C, the energy of the FP32 adder."""
    adder = units.find("parts", ADDER.label)
    assert adder is not None
    return replace(terms, **{name: own / adder.energy_pj for name, own in vars(terms).items()})


def _row(what: str, unit: str, terms: Terms) -> EquationRow:
    figures = {name: significant(own, 4) for name, own in vars(terms).items()}
    return EquationRow(
        what=what,
        unit=unit,
        **figures,
        ratio_to_fp32=significant(terms.to_fp32, 4),
        ratio_to_fp8=significant(terms.to_fp8, 4),
    )
