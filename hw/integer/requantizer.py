# amaranth: UnusedElaboratable=no
"""Accumulated sums back to operands: shift, stochastic rounding, saturation."""

from amaranth import Cat, Const, Module, Mux, signed
from amaranth.hdl import Value
from amaranth.lib.wiring import In, Out

from ...golden.spec import IntFormat, Rounding
from ..parts.component import Component, parameter
from ..parts.lfsr import Lfsr
from ..parts.values import named, registered

SHIFT_BITS = 5


class Requantizer(Component):
    """`r = (floor(acc * 2^(k - shift)) + R) >> k`, saturated to `format`; k = `random_bits`.

    R is stochastic: the next word of an `Lfsr`, which `start` seeds for the value beside it; or
    nearest: 2^(k-1), ties towards +infinity, whatever `lfsr_seed` is.

        acc:    [ ... integer ... | shift bits ... ]
        window: [s| width bits    | k bits ]  + R      one integer bit too many tells of overflow,
        far:    any bit left of it that is not s       as do the bits that do not fit

    The shifter drops on its way what lies left of the window. Latency 2 cycles (window, code);
    throughput one value a cycle. Source: docs/numerics.md section 12.

    Members
    -------
    acc: In, `acc_width` bits, two's complement.
    shift: In, 5 bits, unsigned.
    start: In, only stochastic: this value takes the generator's first word.
    code: Out, signed, `format.width` bits.
    overflow: Out, r lay outside the format. Not sticky: it belongs to its code.
    """

    format: IntFormat = parameter("of the code")
    acc_width: int = parameter("bits of `acc`", low=2, high=64)
    rounding: Rounding = parameter("where R comes from", default=Rounding.STOCHASTIC)
    random_bits: int = Lfsr.random_bits
    lfsr_seed: int = Lfsr.lfsr_seed

    def ports(self):
        members = {"acc": In(self.acc_width), "shift": In(SHIFT_BITS)}
        self._lfsr = None
        if self.rounding is Rounding.STOCHASTIC:
            self._lfsr = Lfsr(random_bits=self.random_bits, lfsr_seed=self.lfsr_seed)
            members["start"] = In(1)
        return {**members, "code": Out(signed(self.format.width)), "overflow": Out(1)}

    latency = property(lambda self: 2, doc="Clock cycles from `acc` to `code`.")

    @property
    def registers(self) -> int:
        """Register bits: the window and its flag, the code and its flag, the generator. For
        nearest, of the window's k fraction bits only the highest decides.
        """
        fraction, generator = (self.random_bits, self._lfsr.registers) if self._lfsr else (1, 0)
        return (self.format.width + fraction + 2) + (self.format.width + 1) + generator

    def elaborate(self, platform):
        m = Module()
        if self._lfsr:
            m.submodules.lfsr = lfsr = self._lfsr
            m.d.comb += lfsr.start.eq(self.start)
            fraction, random = self.random_bits, lfsr.word[0]
        else:
            fraction, random = 1, Const(1, 1)  # the other bits of R and of the window add nothing
        window, far = self._window(m, fraction)
        s1_window = registered(m, "s1_window", window)
        s1_far = registered(m, "s1_far", far)

        total = named(m, "total", s1_window.as_signed() + random)
        rounded = total[fraction:]
        upper = rounded[self.format.width - 1 :]
        outside = named(m, "outside", s1_far | ~(upper.all() | ~upper.any()))
        sign = s1_window[-1]
        limit = Cat((~sign).replicate(self.format.width - 1), sign)
        code = Mux(outside, limit, rounded[: self.format.width]).as_signed()
        m.d.comb += [
            self.code.eq(registered(m, "s2_code", code)),
            self.overflow.eq(registered(m, "s2_outside", outside)),
        ]
        return m

    def _window(self, m, fraction):
        """Sign, `width` integer and `fraction` bits of `floor(acc * 2^(fraction - shift))`; and
        whether it has more integer bits.
        """
        final = fraction + self.format.width
        sign = self.acc[-1]
        value: Value = Cat(Const(0, fraction), self.acc)
        far: Value = Const(0, 1)
        for place in reversed(range(SHIFT_BITS)):
            step = 1 << place
            kept = final + step - 1  # what the smaller steps can still bring into the window
            value = Cat(value, sign.replicate(max(kept - len(value), 0)))
            moved = Cat(value[step:], sign.replicate(step))
            value = named(m, f"shifted_{place}", Mux(self.shift[place], moved, value))
            far = far | (value[kept:] ^ sign.replicate(len(value) - kept)).any()
            value = value[:kept]
        return Cat(value, sign), named(m, "far", far)
