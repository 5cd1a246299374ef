"""Wrong codes of the approximate quantizer: its reciprocal of P bits against the exact division.

    python bench/reciprocal.py

All captured tensors, groups "nc", scales <8,1>, 8 random bits, both builds with the same words
(NumPy's generator, seed 2026). By format and carry rule: percent of codes that differ, of all
elements and of W, A and E, and how many differ by two codes or more. Golden's own models, which the
hardware is held to.
"""

import numpy as np

from mlsmac.data import load
from mlsmac.golden import MLS_E2M1, MLS_E2M4, SCALE_E8M1, Carry
from mlsmac.golden.quantizer import mls_quantizer

BITS = (8, 10, 12, 16)
SEED = 2026
RANDOM_BITS = 8
MAGNITUDE = 0x7FFFFFFF


def main() -> None:
    """Print the table."""
    for element in (MLS_E2M4, MLS_E2M1):
        largest = (1 << (element.code_width - 1)) - 1
        for carry in Carry:
            rng = np.random.default_rng(SEED)
            counts = {(bits, kind): np.zeros(3, np.int64) for bits in BITS for kind in "wae"}
            for layer in load():
                for kind, tensor in layer.tensors().items():
                    # A beat a group: as many lanes as it has elements.
                    groups = tensor.reshape(-1, tensor.shape[2] * tensor.shape[3]).view(np.uint32)
                    x = groups.astype(np.int64)
                    peaks = (x & MAGNITUDE).max(axis=1)
                    ports = (x, np.ones_like(peaks), peaks, np.full_like(peaks, peaks.max()))
                    words = rng.integers(0, 1 << RANDOM_BITS, x.shape)
                    rules = {
                        "element": element,
                        "scale": SCALE_E8M1,
                        "carry": carry,
                        "random_bits": RANDOM_BITS,
                    }
                    exact = mls_quantizer(*ports, words, **rules)["codes"] & largest
                    for bits in BITS:
                        near = mls_quantizer(*ports, words, reciprocal_bits=bits, **rules)
                        apart = np.abs((near["codes"] & largest) - exact)
                        counts[bits, kind] += [x.size, (apart > 0).sum(), (apart > 1).sum()]
            for bits in BITS:
                total = sum(counts[bits, kind] for kind in "wae")
                shares = [100 * c[1] / c[0] for c in (total, *(counts[bits, k] for k in "wae"))]
                shown = " ".join(f"{share:8.4f}" for share in shares)
                print(
                    f"{element} {carry.value:5} P={bits:2}: {shown} %, by two or more: {total[2]}"
                )


if __name__ == "__main__":
    main()
