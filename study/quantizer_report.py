"""What dynamic quantization costs: its two units, and their share of a training step."""

from collections.abc import Callable, Mapping
from typing import Any

from ..data.networks import NETWORKS, Network
from ..support.cache import Cache
from ..synth.liberty.library import load
from ..units.emit import parameters
from .builds import Progress, builds, measure_builds
from .conditions import Conditions
from .quantizer_rows import (
    BatchNorm,
    ElementsRow,
    NetworkRow,
    OperationRow,
    Operations,
    PaperRow,
    QuantizerReport,
    QuantizerRow,
    StepParts,
    StepRow,
)
from .records import significant
from .report import circumstances
from .rows import Best
from .stimuli.pairs import Stimulus
from .systems import Entry

SCHEMA = 2
LANES = (1, 4)

_FIRST_PASS = {
    lanes: Entry(f"statistics, {lanes}", "tensor_statistics", {"lanes": lanes}) for lanes in LANES
}
QUANTIZERS = tuple(
    Entry(
        f"<{format}> {rounding}, {lanes}",
        "mls_quantizer",
        {"format": format, "rounding": rounding, "lanes": lanes},
    )
    for format, rounding in (("2,4", "stochastic"), ("2,1", "stochastic"), ("2,4", "nearest"))
    for lanes in LANES
)
_WHOLE = {"mxfp4": 32, "mxfp8_e4m3": 32}
"""Formats that are measured with a block a cycle too."""

BLOCKS = tuple(
    Entry(
        f"{format.upper()} {rounding}, {lanes}",
        "block_quantizer",
        {"format": format, "rounding": rounding, "lanes": lanes},
    )
    for format in ("mxfp4", "mxfp8_e4m3", "mxint8", "nvfp4")
    for rounding in ("stochastic", "nearest")
    for lanes in (*LANES, *([_WHOLE[format]] if format in _WHOLE and rounding == "nearest" else []))
)
"""Quantizers to blocks; a block's buffer and maxima, which those of MLS leave outside, are in
them.
"""

CHEAP = tuple(
    Entry(
        f"<2,1> stochastic{name}, 4",
        "mls_quantizer",
        {"format": "2,1", "rounding": "stochastic", "lanes": 4, **options},
    )
    for name, options in (
        (", <8,0> scales", {"scale": "8,0"}),
        (", reciprocal", {"reciprocal_bits": 8}),
        (", reciprocal, <8,0>", {"reciprocal_bits": 8, "scale": "8,0"}),
    )
)
"""Cheaper quantizers than the paper's: powers of two for group scales, quotients by a rounded
reciprocal.
"""

DELAYED = tuple(
    Entry(
        f"<{format}> stochastic, delayed, {lanes}",
        "mls_quantizer",
        {"format": format, "rounding": "stochastic", "lanes": lanes, "scaling": "delayed"},
    )
    for format in ("2,4", "2,1")
    for lanes in LANES
)
"""One pass, with the tensor's maximum of the step before. Measured on the tensor's own, as the two
passes: only the hardware differs.
"""

MACS = {
    format: Entry(f"MLS <{format}>", "mls_mac", {"format": format, "acc_width": 16})
    for format in ("2,4", "2,1")
}
MULTIPLIER = Entry("FP32 multiplier", "float_multiplier", {"subnormals": False})
ADDER = Entry("FP32 adder", "float_adder", {"subnormals": False, "path": "split"})
ENTRIES = (*_FIRST_PASS.values(), *QUANTIZERS, *DELAYED, *CHEAP, *BLOCKS)
OPERATIONS = (*MACS.values(), MULTIPLIER, ADDER)
"""What the units are compared with; all labels differ."""

BATCH_NORM = BatchNorm(forward=Operations(2, 3), backward=Operations(3, 4))
"""Float32 operations an element. Forward: sums of z and z^2, then a z + b. Backward: sums of dy and
dy z, then a dy + b z + c. What is done once a channel does not count.
"""

BATCH_NORM_BY_PAPER = BatchNorm(forward=Operations(1, 1), backward=Operations(1, 1))
"""The same as the paper's Table 1 counts them."""

CLAIM = (
    "group-wise maxima and the division by the scaling factors are the main overhead of dynamic "
    "quantization, comparable with a batch normalization"
)
"""The paper's, section 5.2."""


def make_quantizer_report(
    conditions: Conditions,
    stimulus: Stimulus,
    *,
    batch: int | None = None,
    results: Cache,
    progress: Progress | None = None,
) -> QuantizerReport:
    """Measure both passes and what they are compared with, on all cores.

    `batch`: samples of a training step; None: what is usual for each network.
    Raises: what measuring raises.
    """
    library = load(conditions.pdk.liberty)
    every = (*ENTRIES, *OPERATIONS)
    ways = [builds(entry.configuration(), conditions, library) for entry in every]
    measured = measure_builds(conditions, stimulus, ways, results, progress)
    told = {entry.label: own for entry, own in zip(every, measured, strict=True)}
    return QuantizerReport(
        **vars(circumstances(SCHEMA, conditions, stimulus)),
        paper=PaperRow(CLAIM, BATCH_NORM_BY_PAPER),
        batch_norm=BATCH_NORM,
        rows=tuple(_unit_row(entry, told[entry.label]) for entry in ENTRIES),
        operations=tuple(OperationRow(**_named(entry, told[entry.label])) for entry in OPERATIONS),
        networks=tuple(network_row(network, batch or network.batch) for network in NETWORKS),
        steps=tuple(steps({label: own.energy_pj for label, own in told.items()}, batch)),
    )


def _named(entry: Entry, measured: Best) -> Mapping[str, Any]:
    """Fields that all units have."""
    options = parameters(entry.configuration())
    return {"unit": entry.label, "options": options, "measured": measured}


def _unit_row(entry: Entry, measured: Best) -> QuantizerRow:
    lanes = entry.options["lanes"]
    return QuantizerRow(
        lanes=lanes,
        gate_equivalents_per_lane=round(measured.gate_equivalents / lanes, 1),
        **_named(entry, measured),
    )


def network_row(network: Network, batch: int) -> NetworkRow:
    """What a step of a network multiplies and quantizes."""
    elements = network.elements(batch)
    return NetworkRow(
        network=network.name,
        data=network.data,
        batch=batch,
        forward_macs=network.forward_macs,
        step_macs=network.step_macs,
        other_macs=network.other_macs,
        elements=ElementsRow(elements.w, elements.a, elements.e, elements.total),
        elements_per_mac=significant(elements.total / network.step_macs, 5),
        normalized_elements=network.normalized,
    )


def steps(energies: Mapping[str, float | None], batch: int | None) -> list[StepRow]:
    """A training step of every network with every quantizer, in uJ a sample, from pJ by label.

    A quantizer that has no energy, or whose company has none, has no step.
    """
    known = {label: energy for label, energy in energies.items() if energy is not None}
    return [
        _step(network, quantizer, known, batch or network.batch)
        for network in NETWORKS
        for quantizer in QUANTIZERS
        if known.keys() >= {entry.label for entry in (quantizer, *_company(quantizer))}
    ]


def _company(quantizer: Entry) -> tuple[Entry, Entry, Entry, Entry]:
    """MAC, first pass, float32 multiplier and adder that go with a quantizer."""
    mac, first_pass = MACS[quantizer.options["format"]], _FIRST_PASS[quantizer.options["lanes"]]
    return mac, first_pass, MULTIPLIER, ADDER


def _step(network: Network, quantizer: Entry, energies: Mapping[str, float], batch: int) -> StepRow:
    mac, first_pass, multiplication, addition = (
        energies[entry.label] for entry in _company(quantizer)
    )
    elements = network.elements(batch).total

    def batch_norm(counts: BatchNorm) -> float:
        """pJ of a step's batch normalizations, a sample."""
        return network.normalized * counts.energy(multiplication, addition)

    parts = StepParts(
        macs=network.step_macs * mac,
        statistics=elements * first_pass,
        quantization=elements * energies[quantizer.label],
        batch_norm=batch_norm(BATCH_NORM),
        batch_norm_by_paper=batch_norm(BATCH_NORM_BY_PAPER),
    )
    both = parts.statistics + parts.quantization
    return StepRow(
        network=network.name,
        unit=quantizer.label,
        lanes=quantizer.options["lanes"],
        batch=batch,
        energy_uj=_each(parts, lambda pj: 1e-6 * pj),
        pj_per_mac=_each(parts, lambda pj: pj / network.step_macs),
        share_of_macs=significant(both / parts.macs, 5),
        ratio_to_batch_norm=significant(both / parts.batch_norm, 5),
        ratio_to_batch_norm_by_paper=significant(both / parts.batch_norm_by_paper, 5),
    )


def _each(parts: StepParts, change: Callable[[float], float]) -> StepParts:
    return StepParts(**{name: significant(change(pj), 5) for name, pj in vars(parts).items()})
