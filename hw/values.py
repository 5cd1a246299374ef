"""Helpers on values."""

from amaranth.hdl import Module, Signal, Value


def named(m: Module, name: str, value: Value) -> Signal:
    """A signal called `name` that carries `value`."""
    signal = Signal(value.shape(), name=name)
    m.d.comb += signal.eq(value)
    return signal
