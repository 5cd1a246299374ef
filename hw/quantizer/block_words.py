# amaranth: UnusedElaboratable=no
"""Random words beside the beats that leave a block's buffer."""

from amaranth import Module
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ..parts.component import Component, parameter
from ..parts.held import Held
from ..parts.lfsr import Lfsr
from ..parts.values import registered
from .block_buffer import BlockBuffer


class BlockWords(Component):
    """A generator whose first words are there `delay` cycles after a block's first beat had `seed`;
    of `delay` at least `beats + 1` where a block is several beats.

    Members: `seed`: In, read where `first`; `first`: In, of `BlockBuffer`; `word`: Out, as `Lfsr`.
    """

    beats: int = BlockBuffer.beats
    delay: int = parameter("cycles from `seed` to the first words", low=1, high=1 << 16)
    lanes: int = Lfsr.lanes
    random_bits: int = Lfsr.random_bits
    lfsr_seed: int = Lfsr.lfsr_seed

    def ports(self):
        self._seed = Held(width=1) if self.beats > 1 else None
        self._words = Lfsr(lanes=self.lanes, random_bits=self.random_bits, lfsr_seed=self.lfsr_seed)
        word = ArrayLayout(self.random_bits, self.lanes)
        return {"seed": In(1), "first": In(1), "word": Out(word)}

    def _later(self) -> int:
        """Cycles from the seed, of several beats from the next block's first one, to the start."""
        return self.delay - 1 - (self.beats if self._seed else 0)

    @property
    def registers(self) -> int:
        """Register bits: the states, the seed."""
        return self._words.registers + (1 if self._seed else 0) + self._later()

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = self._words
        start = self.seed
        if self._seed is not None:
            m.submodules.seed = held = self._seed
            m.d.comb += [held.i.eq(self.seed), held.enable.eq(self.first)]
            start = held.o & self.first
        for stage in range(self._later()):
            start = registered(m, f"start{stage}", start)
        m.d.comb += [words.start.eq(start), self.word.eq(words.word)]
        return m
