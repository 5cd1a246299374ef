"""Operands as a vectorless power analysis assumes them: independent random bits, each of which
toggles in a tenth of the cycles.
"""

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Shape

from ...units import Configuration, Workload
from ...units.workloads import WARM_UP_CYCLES, cut

TOGGLES = 0.1
"""Toggles a cycle of every input bit: the default of commercial tools."""

_PARTS = 20
"""Batches of the cycles that count."""


def build(configuration: Configuration, cycles: int, seed: int) -> Workload:
    """A MAC's operands and `start`; equal arguments, equal bytes."""
    rng = np.random.default_rng(seed)
    ports = configuration.build().signature.members
    inputs = {
        port: _walk(rng, cycles, Shape.cast(ports[port].shape).width)
        for port in ("w", "a", "start")
    }
    inputs["start"][0] = 1
    starts = np.linspace(WARM_UP_CYCLES, cycles, _PARTS, endpoint=False).astype(int)
    batches = cut(starts, np.zeros_like(starts), np.ones(cycles), WARM_UP_CYCLES)
    return Workload(inputs, batches)


def _walk(rng: np.random.Generator, cycles: int, width: int) -> npt.NDArray[np.int64]:
    """Codes whose bits begin at random and toggle at random."""
    flips = rng.random((cycles, width)) < TOGGLES
    flips[0] = rng.random(width) < 0.5
    bits = np.bitwise_xor.accumulate(flips.astype(np.int64), axis=0)
    return bits @ (1 << np.arange(width, dtype=np.int64))
