"""Registers with an enable, in a module of their own."""

from amaranth import Module
from amaranth.hdl import Value
from amaranth.lib.wiring import In, Out

from .component import Component, parameter
from .values import registered


class Held(Component):
    """`o` takes `i` where `enable` is 1, a cycle later, and stays otherwise.

    Its own module, since mapping merges an enable into the logic before or behind it where it can
    see both. Members: `enable`, `i`: In; `o`: Out.
    """

    width: int = parameter("bits", low=1, high=1 << 16)

    def ports(self):
        return {"enable": In(1), "i": In(self.width), "o": Out(self.width)}

    latency = property(lambda self: 1, doc="Clock cycles from `i` to `o`.")
    registers = property(lambda self: self.width, doc="Register bits.")

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(registered(m, "held", self.i, self.enable))
        return m


def hold(m: Module, name: str, value: Value, enable: Value) -> Value:
    """`value` as a `Held` called `name` keeps it."""
    held = Held(width=len(value))
    m.submodules[name] = held
    m.d.comb += [held.i.eq(value), held.enable.eq(enable)]
    return held.o.as_signed() if value.shape().signed else held.o
