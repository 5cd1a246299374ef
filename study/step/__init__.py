"""The energy of a training step of a network, from measured units."""

from .report import make_step_report
from .rows import StepReport
from .units import MeasuredUnits, default_units, read_units

__all__ = ["MeasuredUnits", "StepReport", "default_units", "make_step_report", "read_units"]
