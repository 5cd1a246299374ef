"""Measured units as tables of other modelling tools: texts by file name, the same for the same
reports.
"""

from .accelergy import accelergy_files
from .costs import Cost, read_costs
from .hwcomponents import hwcomponents_files
from .table import csv_text
from .zigzag import zigzag_files

__all__ = [
    "Cost",
    "accelergy_files",
    "csv_text",
    "hwcomponents_files",
    "read_costs",
    "zigzag_files",
]
