"""Helpers on values."""

from amaranth.hdl import Module, Signal, Value


def named(m: Module, name: str, value: Value) -> Signal:
    """A signal called `name` that carries `value`."""
    signal = Signal(value.shape(), name=name)
    m.d.comb += signal.eq(value)
    return signal


def registered(m: Module, name: str, value: Value, enable: Value | None = None) -> Signal:
    """A register called `name` that takes `value`: always, or where `enable` is 1."""
    register = Signal(value.shape(), name=name, reset_less=True)
    load(m, register, value, enable)
    return register


def load(m: Module, register: Value, value: Value, enable: Value | None = None) -> None:
    """Let `register` take `value`: always, or where `enable` is 1."""
    if enable is None:
        m.d.sync += register.eq(value)
    else:
        with m.If(enable):
            m.d.sync += register.eq(value)
