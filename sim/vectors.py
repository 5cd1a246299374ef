"""Test vectors as they travel to a bench in the simulator's process. Imports no HDL: that process
starts faster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..support.words import Codes, words

Wrong = Mapping[str, Any]
"""A mismatch as a bench tells of it: `step`, `port`, and `value`, a text where it is undefined."""


DEFAULT_OPERATIONS = 100_000
DEFAULT_SEED = 2026


@dataclass(frozen=True)
class Vectors:
    """Inputs by port and the outputs expected `delay` steps later, one entry a step: a code, or a
    code for each lane of an array.

    A step is a clock cycle, or a settling time of a combinational unit (`delay` 1).
    """

    inputs: Mapping[str, Codes]
    outputs: Mapping[str, Codes]
    widths: Mapping[str, int]
    delay: int
    clocked: bool

    @property
    def operations(self) -> int:
        """Number of steps."""
        return len(next(iter(self.inputs.values())))

    @property
    def checks(self) -> int:
        """Values that a bench compares."""
        return self.operations * len(self.outputs)

    def until(self, wrong: Wrong) -> "Vectors":
        """The steps up to a mismatch."""
        operations = wrong["step"] + 1
        inputs, outputs = (
            {port: values[:operations] for port, values in group.items()}
            for group in (self.inputs, self.outputs)
        )
        return Vectors(inputs, outputs, self.widths, self.delay, self.clocked)

    def describe(self, wrong: Wrong) -> str:
        """A mismatch in a line, with the inputs of its step."""
        step, port, value = wrong["step"], wrong["port"], wrong["value"]

        def shown(name: str, values: Codes) -> str:
            return hexadecimal(
                words(values[step : step + 1], self.widths[name])[0], self.widths[name]
            )

        operands = ", ".join(f"{name}={shown(name, v)}" for name, v in self.inputs.items())
        seen = hexadecimal(value, self.widths[port])
        expected = shown(port, self.outputs[port])
        return f"step {step}: {operands}: {port} must be {expected}, not {seen}"

    def save(self, path: Path) -> None:
        """Write to `path` (.npz) for a bench in another process."""
        arrays: dict[str, Any] = {f"i_{port}": values for port, values in self.inputs.items()}
        arrays |= {f"o_{port}": values for port, values in self.outputs.items()}
        arrays |= {f"w_{port}": np.int64(width) for port, width in self.widths.items()}
        np.savez(path, **arrays, delay=np.int64(self.delay), clocked=self.clocked)

    @classmethod
    def load(cls, path: Path) -> "Vectors":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=True) as archive:
            parts: list[dict[str, Codes]] = [
                {name[2:]: archive[name] for name in archive.files if name.startswith(prefix)}
                for prefix in ("i_", "o_", "w_")
            ]
            widths = {port: int(width) for port, width in parts[2].items()}
            return cls(parts[0], parts[1], widths, int(archive["delay"]), bool(archive["clocked"]))


def joined(parts: Sequence[Vectors]) -> Vectors:
    """Vectors of one unit, one after another."""
    first = parts[0]
    inputs, outputs = (
        {port: np.concatenate([getattr(part, side)[port] for part in parts]) for port in ports}
        for side, ports in (("inputs", first.inputs), ("outputs", first.outputs))
    )
    return Vectors(inputs, outputs, first.widths, first.delay, first.clocked)


def hexadecimal(value: int | str, width: int) -> str:
    """A word of `width` bits in as many digits as it has; a text, which tells of X, as it is."""
    return value if isinstance(value, str) else f"{value:#0{-(-width // 4) + 2}x}"
