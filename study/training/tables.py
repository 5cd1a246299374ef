"""Tables of a training study."""

from ..columns import Column
from ..tables import Table
from .rows import TrainingReport

KINDS = {"wa": "W*A", "we": "W*E", "ae": "A*E"}

_ACCURACY = Column("accuracy %", "accuracy, %", "accuracy", 4, error="accuracy_se", with_error=True)
_DIFFERENCE = Column(
    "difference", "difference,\npoints", "difference", 3, error="difference_se", with_error=True
)
_COLUMNS = (
    Column("format", "format", "arm", None),
    Column("runs", "runs", "runs", None),
    _ACCURACY,
    _DIFFERENCE,
    Column("diverged", "diverged", "diverged", None),
    *(
        Column(f"over {name} %", f"overflows\n{name}", ("overflows", kind), 2, 100, unit="%")
        for kind, name in KINDS.items()
    ),
)


def training_tables(report: TrainingReport) -> list[Table]:
    """Every arm, in order."""
    recipe = report.recipe
    how = f"{recipe.model}, {recipe.data} at {recipe.size} x {recipe.size}, {recipe.epochs} epochs"
    return [Table(f"Accuracy ({how})", _COLUMNS, report.rows)]
