"""Placement by coloquinte: quadratic wire length and spreading in turn, then rows, then moves of
single cells.

Source: the package coloquinte, by G. Gouvine.
"""

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...support.errors import ToolError
from .problem import Problem

EFFORT = 3
"""Of 1 to 9."""

# Coloquinte writes of its progress where a command's results go, and its faults end the process: it
# runs in one of its own.
_SCRIPT = """
import json, os, sys
results = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
import coloquinte
given = json.load(sys.stdin)
sizes, ports = given["widths"], given["ports"]
height, rows, width = given["height"], given["rows"], given["width"]
fixed = [False] * len(sizes) + [True] * len(ports)
circuit = coloquinte.Circuit(len(fixed))
circuit.cell_width = sizes + [0] * len(ports)
circuit.cell_height = [height] * len(sizes) + [0] * len(ports)
circuit.cell_is_fixed = fixed
circuit.cell_is_obstruction = [not own for own in fixed]
circuit.cell_x = [0] * len(sizes) + [x for x, _ in ports]
circuit.cell_y = [0] * len(sizes) + [y for _, y in ports]
middle = [(size // 2, height // 2) for size in sizes] + [(0, 0)] * len(ports)
for net in given["nets"]:
    circuit.add_net(net, *(list(own) for own in zip(*(middle[pin] for pin in net))))
circuit.rows = [
    coloquinte.Row(
        coloquinte.Rectangle(0, width, row * height, (row + 1) * height),
        coloquinte.CellOrientation.N,
    )
    for row in range(rows)
]
circuit.check()
parameters = coloquinte.coloquinte_pybind.ColoquinteParameters(given["effort"], 0)
circuit.place_global(parameters)
circuit.place_detailed(parameters)
json.dump([circuit.cell_x[: len(sizes)], circuit.cell_y[: len(sizes)]], results)
"""


def placed(problem: Problem) -> NDArray[np.int64]:
    """Lower left corners of all cells. Raises: ToolError (not installed, or no placement)."""
    grid, pins = problem.grid, problem.pins.tolist()
    given = {
        "width": grid.width,
        "height": grid.height,
        "rows": grid.rows,
        "widths": problem.widths.tolist(),
        "ports": problem.ports.tolist(),
        "nets": [pins[start:end] for start, end in pairwise(problem.starts.tolist())],
        "effort": EFFORT,
    }
    command = [sys.executable, "-P", "-c", _SCRIPT]
    run = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, check=False
    )
    if run.returncode:
        if "ModuleNotFoundError" in run.stderr:
            raise ToolError("the placer coloquinte must be installed: pip install 'mlsmac[layout]'")
        said = run.stderr.strip().splitlines()[-1:] or [f"ended with status {run.returncode}"]
        raise ToolError(f"coloquinte found no placement: {said[0]}")
    return np.array(json.loads(run.stdout), np.int64).T
