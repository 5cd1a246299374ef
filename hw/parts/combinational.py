"""What all purely combinational components share."""

from .component import Component


class Combinational(Component):
    """A component without registers: outputs follow inputs within the cycle."""

    latency = property(lambda self: 0, doc="Clock cycles from inputs to outputs.")
    registers = property(lambda self: 0, doc="Register bits.")
