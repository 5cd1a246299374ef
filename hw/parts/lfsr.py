"""Random words from linear feedback shift registers."""

from functools import reduce
from operator import xor

from amaranth import Cat, Module, Mux, Signal
from amaranth.hdl import Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import LFSR_BITS, MAX_LANES, MAX_RANDOM_BITS, RANDOM_BITS
from .component import Component, parameter

TAPS = 0xA3000000
"""Bits of the state that a step inverts where the output bit is 1: the polynomial
x^32 + x^7 + x^6 + x^2 + 1, primitive, so that all states but zero form one cycle."""

LANE_STRIDE = 2654435769
"""Steps from a lane's seed to the next one's: 2^32 over the golden ratio, which spreads any number
of lanes over the cycle."""


class Lfsr(Component):
    """A random word a lane each cycle, from Galois registers of maximal length:
    `state' = (start ? seed : state after k steps)`, `word = state[:k]`, k = `random_bits`.

    A step shifts right and, where a 1 leaves, inverts the bits `TAPS`, all of them above
    `random_bits`: the low k bits are then the k bits that leave next, and a cycle takes them all.
    A lane's words repeat after 2^32 - 1 cycles, divided by what that number has in common with k (1
    for powers of two). All lanes run through the same cycle of states, far from each other.
    Latency 1 cycle from `start` to the first word. No enable: gate the clock to hold.
    Source: docs/numerics.md section 12.

    Members
    -------
    start: In, begin with the seeds.
    word: Out, array of `lanes` words, unsigned.

    Source
    ------
    Taps: P. Alfke, "Efficient shift registers, LFSR counters, and long pseudo-random sequence
    generators", Xilinx XAPP 052, 1996.
    """

    lanes: int = parameter("generators", low=1, high=MAX_LANES, default=1)
    random_bits: int = parameter("bits of a word", low=1, high=MAX_RANDOM_BITS, default=RANDOM_BITS)
    lfsr_seed: int = parameter(
        "state that lane 0 starts with; lane i starts `i * LANE_STRIDE` steps later",
        low=1,
        high=(1 << LFSR_BITS) - 1,
        default=1,
    )

    def ports(self):
        return {"start": In(1), "word": Out(ArrayLayout(self.random_bits, self.lanes))}

    latency = property(lambda self: 1, doc="Clock cycles from `start` to the first word.")
    registers = property(lambda self: self.lanes * LFSR_BITS, doc="Register bits: the states.")

    def elaborate(self, platform):
        m = Module()
        for lane in range(self.lanes):
            state = Signal(LFSR_BITS, name=f"state_{lane}", reset_less=True)
            seed = stepped(self.lfsr_seed, lane * LANE_STRIDE)
            m.d.sync += state.eq(Mux(self.start, seed, _following(state, self.random_bits)))
            m.d.comb += self.word[lane].eq(state[: self.random_bits])
        return m


def _following(state: Value, steps: int) -> Value:
    """The state `steps` later, `steps` at most the number of bits below the lowest tap."""
    taps = [bit for bit in range(LFSR_BITS) if TAPS >> bit & 1]
    bits = []
    for place in range(LFSR_BITS):
        # The bit that leaves in a step inverts the taps, which the later steps then shift.
        terms = [state[step] for step in range(steps) if place + steps - 1 - step in taps]
        if place + steps < LFSR_BITS:
            terms.append(state[place + steps])
        bits.append(reduce(xor, terms))
    return Cat(bits)


def stepped(seed: int, steps: int) -> int:
    """The state `steps` after `seed`: a step multiplies by x, bit 31 - i being the coefficient of
    x^i.
    """
    power = 1 << (LFSR_BITS - 2)  # x
    while steps:
        if steps & 1:
            seed = _multiplied(seed, power)
        power = _multiplied(power, power)
        steps >>= 1
    return seed


def _multiplied(x: int, y: int) -> int:
    product = 0
    for place in reversed(range(LFSR_BITS)):  # the coefficient of x^0 first
        product ^= x if y >> place & 1 else 0
        x = x >> 1 ^ (TAPS if x & 1 else 0)
    return product
