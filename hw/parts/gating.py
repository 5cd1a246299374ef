"""The parameter of units whose registers need not all get the clock in every cycle."""

from .component import parameter

CLOCK_GATING = parameter(
    "whether registers that keep their value have an enable, behind which mapping puts clock "
    "gates; False: all load in every cycle but those that must wait",
    default=False,
)
"""It changes no output in any cycle, and no latency."""
