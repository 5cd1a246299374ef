"""The benches catch small mistakes: each row breaks one line of one component, and its bench must
fail.
"""

import inspect
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlsmac.hw.accumulator import FloatAccumulator, IntAccumulator
from mlsmac.hw.mls_multiplier import ExponentShifter, MlsMultiplier
from mlsmac.hw.units import configure
from mlsmac.sim.runner import run_bench

OPERATIONS = 20_000


@dataclass(frozen=True)
class Mutation:
    """Replace `old` by `new` in the source of `target`, a component's `elaborate`; `unit` must then
    fail.
    """

    name: str
    target: Any
    old: str
    new: str
    unit: str
    options: dict[str, Any]

    def apply(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Compile the changed source in its own module's names and put it in the original's
        place.
        """
        function: Any = getattr(self.target, "elaborate", self.target)
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.old) == 1, (
            f"{self.name}: {self.old!r} must stand once in the source"
        )
        module = sys.modules[function.__module__]
        names = dict(vars(module))
        exec(compile(source.replace(self.old, self.new), self.name, "exec"), names)
        owner = self.target if inspect.isclass(self.target) else module
        monkeypatch.setattr(owner, function.__name__, names[function.__name__])


MLS = {"format": "2,4"}
MUTATIONS = (
    Mutation(
        "shift of the largest exponent",
        ExponentShifter,
        "self.exp - 1",
        "(self.exp - 1)[0]",
        "mls_multiplier",
        MLS,
    ),
    Mutation(
        "subnormal shifted like an exponent",
        ExponentShifter,
        "self.exp == 0, 0,",
        "self.exp == 0, 1,",
        "mls_mac",
        MLS,
    ),
    Mutation(
        "hidden bit of subnormals", MlsMultiplier, "exponent.any())", "1)", "mls_multiplier", MLS
    ),
    Mutation(
        "sign of a product",
        MlsMultiplier,
        "self.x[-1] ^ self.y[-1]",
        "self.x[-1] | self.y[-1]",
        "mls_mac",
        MLS,
    ),
    Mutation(
        "dropped carry of the negation",
        IntAccumulator,
        "inverted + negative",
        "inverted",
        "mls_mac",
        MLS,
    ),
    Mutation("start ignored", IntAccumulator, "bit & ~self.start", "bit", "mls_mac", MLS),
    Mutation(
        "overflow not sticky",
        IntAccumulator,
        "outside | (overflow & ~self.start)",
        "outside",
        "mls_mac",
        MLS,
    ),
    Mutation(
        "overflow survives start",
        IntAccumulator,
        "(overflow & ~self.start)",
        "overflow",
        "mls_mac",
        MLS,
    ),
    Mutation(
        "saturation to the wrong side",
        IntAccumulator,
        "(~sign).replicate",
        "sign.replicate",
        "mls_mac",
        MLS,
    ),
    Mutation(
        "start ignored by floats", FloatAccumulator, "bit & ~self.start", "bit", "fp32_mac", {}
    ),
    Mutation(
        "start loads onto +0",
        FloatAccumulator,
        "acc[-1] | self.start",
        "acc[-1] & ~self.start",
        "fp32_mac",
        {},
    ),
)


@pytest.mark.parametrize(
    "mutation", MUTATIONS, ids=lambda mutation: re.sub(r"\W+", "-", mutation.name)
)
def test_mutation_is_caught(
    mutation: Mutation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation.apply(monkeypatch)
    configuration = configure(mutation.unit, **mutation.options)
    result = run_bench(configuration, tmp_path, operations=OPERATIONS)
    assert result.mismatches, f"{configuration.slug} did not notice: {mutation.name}"
    assert result.waveform is not None
    assert result.waveform.stat().st_size > 0
