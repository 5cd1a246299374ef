"""What a kept result is kept by: all that decides it, and no words.

A result follows from the RTLIL, the expected outputs, the workload, the library, the recipe, the
tools and the engine. Elaboration takes longer than a look-up: while no source changes, the sources
stand for what a configuration makes.
"""

import functools
import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..support.cache import Cache, code_digest, digest, source_digest
from ..support.tools import version
from ..support.words import Codes
from ..synth.mapping.recipes import Adders
from ..synth.simulation.simulate import Simulator
from ..units import Configuration, Declared, Workload
from ..units.emit import parameters
from .conditions import Conditions
from .records import documented
from .rows import MAC_STAGES, Measurement

_ROOT = Path(__file__).parents[1]
_OWN = (
    *("study/conditions.py", "study/errors.py", "study/keys.py", "study/layout_rows.py"),
    "study/measure.py",
)
ENGINE = ("support", "synth", *_OWN, "study/records.py")
"""What makes figures of RTLIL, vectors and a library."""
_SOURCES = ("support", "golden", "hw", "units", *_OWN)
"""What makes the RTLIL and the expected results of a configuration."""


def result_key(made: "Made", adders: Adders, conditions: Conditions, results: Cache) -> str:
    """Of a build's measurement."""
    content = results.get(made.made_from(), lambda: {"digest": made.digest()})["digest"]
    return digest([engine(), content, *_circumstances(adders, conditions, made.workload)])


_NOT_KEPT = Cache(None)


@dataclass(frozen=True)
class Made:
    """What a configuration decides of a result, made when first asked for."""

    configuration: Configuration
    workload: Workload
    kept: Cache = _NOT_KEPT
    """Where other builds of the configuration find its hardware."""

    @cached_property
    def declared(self) -> Declared:
        """What is said of the hardware."""
        return self.configuration.declared()

    @cached_property
    def rtlil(self) -> str:
        """The hardware, as mapping takes it."""
        key = digest(["RTLIL", self.configuration.slug, parameters(self.configuration)])
        text = self.kept.get(key, lambda: {"rtlil": self.configuration.rtlil()})["rtlil"]
        assert isinstance(text, str)
        return text

    @cached_property
    def expected(self) -> Mapping[str, Codes]:
        """What it should output."""
        return self.configuration.reference(self.workload.inputs)

    def digest(self) -> str:
        """Of all of it."""
        stages = sorted(sorted(names) for names in self.declared.stage_sets)
        declared = {**vars(self.declared), "stage_sets": stages}
        outputs = _ports(self.expected)
        return digest([self.configuration.slug, self.rtlil, declared, *outputs])

    def made_from(self) -> str:
        """Digest of what decides it, without making it."""
        makers = [sources(), importlib.metadata.version("amaranth"), np.__version__]
        given = [self.configuration.name, parameters(self.configuration)]
        return digest([*makers, *given, *_ports(self.workload.inputs)])


def _circumstances(adders: Adders, conditions: Conditions, workload: Workload) -> list[Any]:
    """What decides a result beside the code, the RTLIL and what it should compute."""
    pdk = asdict(conditions.pdk)
    settings = {name: pdk[name] for name in pdk.keys() - {"name", "liberty", "clock_mhz"}}
    versions = {"numpy": np.__version__, **tool_versions(conditions)}
    del versions["amaranth"]  # the RTLIL says what it made
    return [
        *(path.read_bytes() for path in conditions.pdk.liberty),
        *(settings, versions, adders.value),
        *(conditions.clock_mhz, conditions.script, conditions.states.value),
        conditions.simulator.value,
        conditions.layout and asdict(conditions.layout),
        *vars(workload.batches).values(),
        *_ports(workload.inputs),
    ]


def _ports(codes: Mapping[str, Codes]) -> list[Any]:
    return [part for port in sorted(codes) for part in (port, codes[port])]


@functools.cache
def engine() -> str:
    # Of the rows their fields alone: what they say of themselves may be worded anew.
    code = code_digest(*(_ROOT / name for name in ENGINE))
    return digest([code, [key for key, _ in documented(Measurement)], MAC_STAGES])


@functools.cache
def sources() -> str:
    return source_digest(*(_ROOT / name for name in _SOURCES))


def tool_versions(conditions: Conditions) -> dict[str, str | None]:
    """Versions of all that decides the results. The project's own simulator is none: integers alone
    are what numba makes.
    """
    packages = ["amaranth", "pyosys"]
    if conditions.layout and conditions.layout.placer == "coloquinte":
        packages.append("coloquinte")
    versions: dict[str, str | None] = {name: importlib.metadata.version(name) for name in packages}
    tools = ("sta", "iverilog") if conditions.simulator is Simulator.ICARUS else ("sta",)
    return versions | {tool: version(tool) for tool in tools}
