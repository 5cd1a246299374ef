"""`mlsmac fpga`: the figures as a table."""

from typing import Any

from rich import box
from rich.table import Table


def sheet(row: dict[str, Any]) -> Table:
    """A unit's figures, one a line."""
    multipliers = "DSP blocks allowed" if row["dsp"] else "no DSP blocks"
    title = f"{row['slug']}: {row['device']}, speed grade {row['speed_grade']}, {multipliers}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_header=False)
    table.add_column("figure", no_wrap=True)
    table.add_column("value", justify="right")
    fmax = row["fmax_mhz_by_seed"]
    for figure, value in (
        ("LUT4s", row["luts"]),
        ("flip-flops", row["flip_flops"]),
        ("DSP blocks (18 x 18)", row["dsps"]),
        (f"clock MHz, best of {len(fmax)} placements", row["fmax_mhz"]),
        ("clock MHz, median", row["fmax_mhz_median"]),
    ):
        table.add_row(figure, str(value))
    return table
