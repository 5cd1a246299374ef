# amaranth: UnusedElaboratable=no
"""What a configuration does that its user may not have meant: it can be built all the same."""

from collections.abc import Iterator

from ..golden.spec import MAX_WIDTH
from .catalogue import Configuration

WIDE = MAX_WIDTH
"""Bits of an exact sum that are worth a word: no accumulator of a MAC is wider."""


def cautions(configuration: Configuration, length: int | None = None) -> list[str]:
    """A line for each; `length`: products that a sum is to hold, where the user told."""
    return [*_too_short(configuration, length), *_narrow_sum(configuration), *_wide(configuration)]


def _too_short(configuration: Configuration, length: int | None) -> Iterator[str]:
    if length is not None and configuration.safe_length < length:
        yield (
            f"acc_width {configuration.options['acc_width']} holds "
            f"{configuration.safe_length} products whatever the operands, not {length}: "
            f"{configuration.options['overflow'].value} beyond; acc_width auto is proven"
        )


def _narrow_sum(configuration: Configuration) -> Iterator[str]:
    total = configuration.options.get("acc_format")
    if total is None:
        return
    factor = configuration.options["format"]
    if total.exp_bits < factor.exp_bits or total.man_bits < factor.man_bits:
        yield f"acc_format {total} is narrower than the factors, {factor}: it loses parts of them"


def _wide(configuration: Configuration) -> Iterator[str]:
    width = configuration.build().exact_width
    if width is not None and width > WIDE:
        yield (
            f"an exact sum with {configuration.options['scale']} scales is {width} bits wide: "
            "scales of fewer exponent bits, as <4,3>, make it narrow"
        )
