"""What hardware is elaborated for, and what it then leaves out."""

from amaranth import Cat, Module, Signal
from amaranth.hdl import Value
from amaranth.lib.wiring import In

from ...support.attributes import SAME_AS
from .component import Component

OUTLINED = "outlined"
"""Gates, but of equal parts the first alone: the others are outlines, which nothing but mapping
knows.
"""


def has_multipliers(platform: str | None) -> bool:
    """Whether tools have multipliers and carry chains of their own: an FPGA's."""
    return platform not in (None, OUTLINED)


def outline(part: Component, like: str) -> Module:
    """The ports of a part whose outputs are registers, for one that equals its neighbour `like`:
    it reads and drives the same bits.
    """
    m = Module()
    inputs = Cat(
        Value.cast(getattr(part, port))
        for port, member in part.signature.members.items()
        if member.flow is In
    )
    for port, member in part.signature.members.items():
        if member.flow is not In:
            output = Value.cast(getattr(part, port))
            register = Signal(output.shape(), reset_less=True, attrs={SAME_AS: like})
            m.d.sync += register.eq(inputs.xor())
            m.d.comb += output.eq(register)
    return m
