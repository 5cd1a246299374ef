"""What a unit does where arithmetic leaves a choice: overflow, rounding, carry, order of sums."""

import enum


class Overflow(enum.Enum):
    """What an integer accumulator does with a sum outside its range."""

    SATURATE = "saturate"
    """Clamp to -2^(width-1) or 2^(width-1) - 1."""

    WRAP = "wrap"
    """Keep the low `width` bits, two's complement."""


class Rounding(enum.Enum):
    """Where the random word R of `r = (floor(t * 2^k) + R) >> k` comes from."""

    STOCHASTIC = "stochastic"
    """R is uniform in [0, 2^k), one word per element in C order."""

    NEAREST = "nearest"
    """R = 2^(k-1): nearest, ties away from zero."""


class Carry(enum.Enum):
    """What happens to a mantissa that rounds up to the next binade."""

    CLIP = "clip"
    """It stays at its binade's largest mantissa (the paper's rule)."""

    CARRY = "carry"
    """It moves to the next binade's smallest; the largest code saturates (like IEEE 754)."""


class Scaling(enum.Enum):
    """Whose largest magnitude the tensor scale S_t is."""

    CURRENT = "current"
    """The tensor's own, which must be known before the first code: two passes."""

    DELAYED = "delayed"
    """That of an earlier step: one pass. What exceeds it saturates."""


class Tree(enum.Enum):
    """How the scaled sums of groups add up."""

    FP32 = "fp32"
    """Each add is float32: a balanced binary tree per tile, then tile after tile."""

    ALIGNED = "aligned"
    """Integers aligned to the tile's largest scale, one rounding per tile; then tile after tile in
    float32."""

    EXACT = "exact"
    """One fixed-point sum of all leaves, one rounding at the end."""
