"""Vectors of a configuration: operands that reach its corners, and what golden makes of them."""

from amaranth.hdl import Shape

from ..golden.spec import check_int
from ..units import Configuration
from .vectors import Vectors


def make_vectors(configuration: Configuration, operations: int, seed: int) -> Vectors:
    """Vectors for a unit: every input where that is feasible, else `operations` corner-heavy random
    ones.
    """
    check_int("operations", operations, 1, 1 << 31)
    check_int("seed", seed, 0, 1 << 31)
    component = configuration.build()
    members = component.signature.members.items()
    widths = {name: Shape.cast(member.shape).width for name, member in members}
    inputs = configuration.unit.corners(component, operations, seed)
    outputs = configuration.reference(inputs)
    delay, clocked = max(component.latency, 1), component.registers > 0
    return Vectors(inputs, outputs, widths, delay, clocked)
