"""A convolution layer in codes through the Verilog of a tile, against golden's convolutions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Shape

from ..data.quantized import QuantizedLayer
from ..golden.conv import ConvResult
from ..golden.lowering import Convolution, Kind
from ..golden.spec import AUTO, Accumulate, Operands
from ..support.files import scratch
from ..support.words import Codes
from ..units.catalogue import Configuration
from .memory_bench import MEMORY, MemoryBench
from .progress import Tell
from .runner import simulate
from .schedule import Schedule, dot_schedule, schedule
from .vectors import Vectors

UNITS = (
    "mls_tile",
    "dot_tile",
)
"""Tiles that take MLS elements with group scales."""

_CODES = 1 << 22
"""Codes of a port in a run, about: what is prepared for one fits the memory."""
_SHOWN = 10
"""Wrong outputs that are described."""


@dataclass(frozen=True)
class Convolved:
    """What became of a convolution.

    Members:
        convolution: the `Kind`; unit: the tile, by its slug.
        outputs: how many were run, of so many (`of`); steps: of the tile, idle ones included;
            products: of these outputs, zeros of padding included.
        flagged: outputs run whose overflow flag is set; None where the tile has no flag.
        overflowed_sums, sums: of all outputs, by golden's convolution; None of dots, whose
            groups are exact.
        inexact: outputs run that golden's tile gives otherwise than golden's convolution, a window
            having dropped bits; no mismatches.
        mismatches: outputs of the Verilog that are not golden's, in value, flag or time.
        described: the first of them, a line each; waveform: of the first one.
    """

    convolution: str
    unit: str
    outputs: int
    of: int
    steps: int
    products: int
    flagged: int | None
    overflowed_sums: int | None
    sums: int | None
    inexact: int
    mismatches: int
    described: tuple[str, ...]
    waveform: str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """One convolution of a layer on a tile, in segments of at most so many products.

    Raises: ValueError for a tile that cannot take it.
    """

    layer: QuantizedLayer
    kind: Kind
    configuration: Configuration
    segment: int | None = None

    def __post_init__(self) -> None:
        options = self.configuration.options
        w, a = self.layer.operands(self.kind)
        for name, format in (("element", options["format"]), ("scale", options["scale"])):
            for letter, tensor in zip(self.kind, (w, a), strict=True):
                own = getattr(tensor, name)
                if own != format:
                    raise ValueError(f"{name}s of {letter} must be the tile's {format}, not {own}")
        if options.get("operands") is Operands.DECODED:
            raise ValueError("operands must be codes or decoder for a layer, not decoded")
        if self.steps + 2 > MEMORY:
            rule = f"an output of {self.kind} must take at most {MEMORY - 2} steps"
            raise ValueError(f"{rule}, not {self.steps}: more lanes take fewer")
        self.configuration.reference(self.schedule(np.zeros(1, np.int64)).inputs)

    @property
    def is_dot(self) -> bool:
        """Whether a lane takes a group in a step."""
        return "products" in self.configuration.options

    @cached_property
    def lowered(self) -> Convolution:
        """What an output is made of."""
        most = self.configuration.options.get("products")
        segment = min(filter(None, (self.segment, most)), default=None)
        return self.layer.convolution(self.kind, segment)

    @cached_property
    def steps(self) -> int:
        """Of an output."""
        return len(self.schedule(np.zeros(1, np.int64)).inputs["finish"]) - 1

    def schedule(self, outputs: Codes) -> Schedule:
        """The steps of these outputs, after one that defines the tile."""
        options = self.configuration.options
        given: dict[str, Any] = {"lanes": options["lanes"], "outputs": outputs}
        operands = self.layer.operands(self.kind)
        if self.is_dot:
            return dot_schedule(self.lowered, *operands, products=options["products"], **given)
        tile: Any = self.configuration.build()
        return schedule(self.lowered, *operands, interval=tile.interval, **given)

    def golden(self) -> ConvResult:
        """All outputs by golden's convolution; before the tensor scale if the tile has none."""
        options = self.configuration.options
        how: dict[str, Any] = {"tree": "exact", "acc_width": AUTO}
        if not self.is_dot:
            names = ("acc_width", "overflow", "tree", "guard_bits", "lanes")
            how = {name: options[name] for name in names} | {"segment": self.segment}
        layer = self.layer
        if not options["tensor_scale"]:
            one = np.float32(1)
            tensors = {x: replace(tensor, tensor_scale=one) for x, tensor in layer.tensors.items()}
            layer = replace(layer, tensors=tensors)
        return layer.golden(self.kind, **how)

    def drawn(self, outputs: int | None, steps: int, seed: int) -> Codes:
        """Places of so many outputs; None: as many as there are, in that many steps about."""
        count = max(steps // self.steps, 1) if outputs is None else outputs
        if count >= self.lowered.size:
            return np.arange(self.lowered.size)
        return self.lowered.draw(count, seed)

    def pieces(self, outputs: Codes) -> Iterator[Codes]:
        """The outputs run by run."""
        width = self.configuration.options["lanes"] * self.configuration.options.get("products", 1)
        steps = min(MEMORY - 2, _CODES // width)
        count = max(steps // self.steps, 1)
        for begin in range(0, len(outputs), count):
            yield outputs[begin : begin + count]

    def vectors(self, outputs: Codes, z: Codes) -> Vectors:
        """Steps of these outputs, whose values are `z` by golden's convolution, and an idle one,
        which a bench repeats. What a window drops, golden's tile tells instead.
        """
        plan = self.schedule(outputs)
        tile = self.configuration.build()
        members = tile.signature.members
        inputs = {
            port: np.concatenate([codes, codes[-1:] * (port == "tensor_scale")])
            for port, codes in plan.inputs.items()
            if port in members
        }
        expected = self.configuration.reference(inputs)
        accumulate = self.configuration.options.get("accumulate", Accumulate.EXACT)
        if accumulate is Accumulate.EXACT:
            expected["z"] = np.append(expected["z"][0], z)[_newest(expected["valid"])]
        widths = {name: Shape.cast(member.shape).width for name, member in members.items()}
        return Vectors(inputs, expected, widths, tile.latency, clocked=True)


def _newest(valid: Codes) -> Codes:
    """The newest output at each step: 0 is the one that defines the tile."""
    return np.cumsum(valid) - 1


def run_layer(
    tasks: Sequence[Task],
    directory: Path,
    *,
    outputs: int | None,
    steps: int,
    simulator: str,
    seed: int,
    progress: Tell | None = None,
) -> list[Convolved]:
    """Run outputs of convolutions, drawn with `seed`, and compare each with golden's, at every
    step.

    Parameters: `outputs` of each convolution (None: about as many as `steps` steps take, and all
    where these are fewer); `directory` takes a waveform of the first mismatch; `progress` is told
    of the steps.
    Raises: ToolError where a tool is missing; BenchError where a simulator fails.
    """
    chosen = [task.drawn(outputs, steps, seed) for task in tasks]
    total = sum(len(own) * task.steps for own, task in zip(chosen, tasks, strict=True))
    with scratch() as folder:
        runs = _Runs(folder, directory, simulator, _Meter(progress, total))
        return [runs.run(task, own) for own, task in zip(chosen, tasks, strict=True)]


class _Meter:
    """Called with what is done now, and how many steps have been since."""

    def __init__(self, tell: Tell | None, total: int) -> None:
        self._tell, self._total, self._done = tell, total, 0

    def __call__(self, what: str, steps: int = 0) -> None:
        self._done += steps
        if self._tell is not None:
            self._tell(what, self._done, self._total)


@dataclass(frozen=True, eq=False)
class _Runs:
    """Tasks in a simulator: each unit is built once in `folder`."""

    folder: Path
    directory: Path
    simulator: str
    meter: _Meter
    benches: dict[str, MemoryBench] = field(default_factory=dict)

    def run(self, task: Task, outputs: Codes) -> Convolved:
        """A task's outputs at these places."""
        slug = task.configuration.slug
        self.meter(f"computing {task.kind} by golden")
        golden = task.golden()
        z = golden.z.view(np.uint32).astype(np.int64).ravel()
        wrong: dict[int, str] = {}
        flags, inexact = [], 0
        for piece in task.pieces(outputs):
            vectors = task.vectors(piece, z[piece])
            wrong |= self._wrong(task, vectors, piece)
            ends = np.flatnonzero(vectors.outputs["valid"])[1:]
            inexact += int(np.count_nonzero(vectors.outputs["z"][ends] != z[piece]))
            flags += [vectors.outputs["overflow"][ends]] if "overflow" in vectors.outputs else []
            self.meter(f"{task.kind} in {slug}", len(piece) * task.steps)
        return Convolved(
            convolution=task.kind.value,
            unit=slug,
            outputs=len(outputs),
            of=task.lowered.size,
            steps=len(outputs) * task.steps,
            products=len(outputs) * task.lowered.groups * task.lowered.products,
            flagged=int(np.concatenate(flags).sum()) if flags else None,
            overflowed_sums=None if task.is_dot else golden.overflow_count,
            sums=None if task.is_dot else golden.sum_count,
            inexact=inexact,
            mismatches=len(wrong),
            described=tuple(wrong.values())[:_SHOWN],
            waveform=self._waveform(task, outputs, z, min(wrong)) if wrong else None,
        )

    def _wrong(self, task: Task, vectors: Vectors, outputs: Codes) -> dict[int, str]:
        """Outputs, by place, that the Verilog gives otherwise than the vectors, in a line each."""
        slug = task.configuration.slug
        if slug not in self.benches:
            self.meter(f"compiling {slug}")
            folder = self.folder / slug
            folder.mkdir()
            self.benches[slug] = MemoryBench(
                task.configuration, vectors, folder, self.simulator, shown=MEMORY
            )
        lines = self.benches[slug].run(vectors).mismatches
        newest = _newest(vectors.outputs["valid"])
        wrong: dict[int, str] = {}
        for line in lines:
            step = int(line.split()[1].rstrip(":"))
            place = int(outputs[max(newest[step] - 1, 0)])
            index = ", ".join(str(each) for each in np.unravel_index(place, task.lowered.z))
            ports = ", ".join(vectors.outputs)
            _, _, words = line.partition(": ")
            wrong.setdefault(place, f"{task.kind} z[{index}]: {ports} must be {words}")
        return wrong

    def _waveform(self, task: Task, outputs: Codes, z: Codes, place: int) -> str | None:
        """Of a wrong output, behind the one before it; None where it is right then."""
        at = int(np.flatnonzero(outputs == place)[0])
        own = outputs[max(at - 1, 0) : at + 1]
        vectors = task.vectors(own, z[own])
        where = self.directory / task.configuration.slug, "icarus"
        waveform = simulate(task.configuration, "bench_vectors", vectors, *where).waveform
        return None if waveform is None else str(waveform)
