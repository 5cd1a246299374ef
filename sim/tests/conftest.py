"""Options of `pytest sim/`."""

import pytest

from mlsmac.sim.runner import SIMULATORS
from mlsmac.sim.vectors import DEFAULT_SEED

OPERATIONS = 20_000
"""As many as the bench of a mutation has at most; it finds it in a small part of these."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """How to simulate, and how much."""
    group = parser.getgroup("mlsmac")
    group.addoption("--simulator", choices=SIMULATORS, default="icarus")
    group.addoption("--operations", type=int, default=OPERATIONS, help="operations a MAC")
    group.addoption("--vector-seed", type=int, default=DEFAULT_SEED)
    volume = "operations a floating-point unit, in Verilator; default: 500, in --simulator"
    group.addoption("--volume", type=int, help=volume)
    group.addoption("--all-outputs", action="store_true", help="every output of every layer")


def pytest_report_header(config: pytest.Config) -> str:
    """The seed, so that a failure can be repeated."""
    options = (config.getoption("--simulator"), config.getoption("--vector-seed"))
    return "mlsmac: {}, vector seed {}".format(*options)
