"""The report of a training step: a row a system, Eq. 9, claims, and memory traffic."""

from collections.abc import Iterator, Mapping, Sequence

from ...data.networks import Network
from ...support.errors import UserError
from ..quantizer_report import BATCH_NORM, network_row
from ..records import significant
from .claims import claims
from .equation import equation
from .memory import SHOWN, Passes, Traffic, held_bits, traffic
from .model import ADD, PJ_TO_UJ, UPDATE, Energies, MissingUnit, Multipliers, energies
from .rows import (
    ConvolutionParts,
    Counts,
    StepParts,
    StepReport,
    SystemRow,
    TrafficRow,
    WithMemory,
)
from .systems import GROUPS, PARTS, Group, System
from .units import BASELINES, MeasuredUnits

SCHEMA = 1
LANES = 16
_DIGITS = 5

Steps = Mapping[System, Energies]


def make_step_report(
    network: Network,
    units: MeasuredUnits,
    *,
    batch: int | None = None,
    lanes: int = LANES,
    memory: tuple[float, str] | None = None,
) -> StepReport:
    """A step of the network; `batch`: samples, None: the network's own; `lanes`: of tiles and dot
    units; `memory`: pJ of a bit moved, and where that is from.

    Raises: UserError where a unit that all need is missing, or nothing has FP32 beside it.
    """
    batch = batch or network.batch
    for label in PARTS:
        if units.find("parts", label) is None:
            raise UserError(f"{label} must be in one of the reports: give that of quantizers, too")
    rows: list[SystemRow] = []
    left_out: dict[str, str] = {}
    for group in GROUPS:
        steps: dict[System, Energies] = {}
        for system in group.systems:
            try:
                steps[system] = energies(network, batch, group, system, lanes, units)
            except MissingUnit as missing:
                left_out[f"{group.name}: {system.label}"] = str(missing)
        # Without FP32 there are neither ratios nor first layers.
        if group.systems[0] in steps:
            moved = _moved(network, batch, steps, memory)
            rows += _rows(group, steps, batch, lanes, units, moved)
    if not rows:
        raise UserError(
            f"units must be of FP32, too, with {lanes} lanes where they are of dots or tiles"
        )
    return StepReport(
        schema=SCHEMA,
        pdk=units.pdk,
        clock_mhz=units.clock_mhz,
        tensors=units.tensors,
        network=_counts(network, batch),
        batch_norm=BATCH_NORM,
        add=ADD,
        update=UPDATE,
        rows=tuple(rows),
        left_out=left_out,
        equation=equation(units, lanes),
        claims=claims(network, batch, rows, units, lanes),
        traffic=tuple(_traffic_rows(network, batch)),
        held_bits=held_bits(network),
        memory_pj_per_bit=memory and memory[0],
        memory=memory and memory[1],
    )


def _counts(network: Network, batch: int) -> Counts:
    square = sum(layer.macs for layer in network.quantized if layer.kernel == 3)
    return Counts(
        **vars(network_row(network, batch)),
        weights=network.weights,
        added_elements=network.added,
        share_3x3=significant(3 * square / network.step_macs, 4),
    )


_Moved = Mapping[System, tuple[float, float]]
"""uJ of memory a sample: as each system quantizes, and fused."""


def _moved(
    network: Network, batch: int, steps: Steps, memory: tuple[float, str] | None
) -> _Moved | None:
    if memory is None:
        return None

    def uj(system: System, passes: Passes) -> float:
        bits = traffic(network, batch, system.codes, passes).total
        return bits * memory[0] * PJ_TO_UJ

    found = {}
    for system in steps:
        has_statistics = system.quantizer is not None and system.quantizer.statistics
        usual = Passes.TWO if has_statistics else Passes.ONE
        found[system] = uj(system, usual), uj(system, Passes.FUSED)
    return found


def _rows(
    group: Group,
    steps: Steps,
    batch: int,
    lanes: int,
    units: MeasuredUnits,
    moved: _Moved | None,
) -> Iterator[SystemRow]:
    baselines = {kind: _cheapest(kind, steps) for kind in BASELINES}
    fp32, fp8 = (baselines[kind] for kind in BASELINES)
    assert fp32 is not None
    for system, own in steps.items():
        uses = Multipliers.of(group, system, lanes, units)
        errors = {
            kind: None
            if system is base or kind not in uses.unit.errors
            else uses.unit.errors[kind] * own.inner / own.total
            for kind, base in baselines.items()
        }
        to_fp32 = steps[fp32].total / own.total
        to_fp8 = steps[fp8].total / own.total if fp8 else None
        yield SystemRow(
            group=group.name,
            system=system.label,
            units=_units(system),
            lanes=group.lanes(system, lanes),
            energy_uj=_parts(own),
            convolutions_uj=ConvolutionParts(
                **{kind: _uj(energy) for kind, energy in own.convolutions.items()},
                first=_uj(own.first),
                classifier=_uj(own.classifier),
            ),
            batch_mj=significant(own.total * batch * 1e-9, _DIGITS),
            ratio_to_fp32=significant(to_fp32, _DIGITS),
            ratio_to_fp32_se=_error(to_fp32, errors["fp32"]),
            ratio_to_fp8=to_fp8 and significant(to_fp8, _DIGITS),
            ratio_to_fp8_se=_error(to_fp8, errors["fp8"]),
            convolution_ratio_to_fp32=significant(steps[fp32].inner / own.inner, _DIGITS),
            convolution_ratio_to_fp8=significant(steps[fp8].inner / own.inner, _DIGITS)
            if fp8
            else None,
            with_memory=_with_memory(0, system, steps, baselines, moved),
            fused=_with_memory(1, system, steps, baselines, moved),
        )


def _cheapest(kind: str, steps: Steps) -> System | None:
    """Of the systems that are a kind of baseline."""
    every = [system for system in steps if kind in system.kinds]
    return min(every, key=lambda system: steps[system].total, default=None)


def _error(ratio: float | None, relative: float | None) -> float | None:
    return None if ratio is None or relative is None else significant(ratio * relative, 3)


def _units(system: System) -> dict[str, str]:
    quantizer = system.quantizer
    named = {
        "products": system.unit,
        "gradients": system.gradient,
        "encoding": quantizer and quantizer.unit,
    }
    return {what: label for what, label in named.items() if label}


def _parts(own: Energies) -> StepParts:
    return StepParts(
        products=_uj(own.parts.get("products", 0.0)),
        scaler=_maybe(own.parts.get("scaler")),
        tree=_maybe(own.parts.get("tree")),
        outer=_uj(own.outer),
        statistics=_maybe(own.statistics),
        encoding=_maybe(own.encoding),
        **{name: _uj(energy) for name, energy in own.rest.items()},
        total=_uj(own.total),
    )


def _uj(pj: float) -> float:
    return significant(pj * PJ_TO_UJ, _DIGITS)


def _maybe(pj: float | None) -> float | None:
    return None if pj is None else _uj(pj)


def _with_memory(
    way: int,
    system: System,
    steps: Steps,
    baselines: Mapping[str, System | None],
    moved: _Moved | None,
) -> WithMemory | None:
    """`way`: a place in `moved`; baselines quantize the same way."""
    if moved is None:
        return None

    def total(own: System) -> float:
        return steps[own].total * PJ_TO_UJ + moved[own][way]

    def ratio(kind: str) -> float | None:
        base = baselines[kind]
        return None if base is None else significant(total(base) / total(system), _DIGITS)

    to_fp32, to_fp8 = (ratio(kind) for kind in BASELINES)
    assert to_fp32 is not None
    return WithMemory(
        memory_uj=significant(moved[system][way], _DIGITS),
        total_uj=significant(total(system), _DIGITS),
        ratio_to_fp32=to_fp32,
        ratio_to_fp8=to_fp8,
    )


def _traffic_rows(network: Network, batch: int) -> Iterator[TrafficRow]:
    base = traffic(network, batch, None, Passes.TWO).total
    for name, (codes, ways) in SHOWN.items():
        every = [traffic(network, batch, codes, way) for way in ways]
        for way, own in zip(ways, every, strict=True):
            yield TrafficRow(
                codes=name,
                passes=way.value if codes else "-",
                **_mbit(own),
                total=significant(own.total * 1e-6, _DIGITS),
                to_fp32=significant(own.total / base, 4),
                saved=_saved(own, every, ways),
            )


def _saved(own: Traffic, every: Sequence[Traffic], ways: Sequence[Passes]) -> float | None:
    """Against two passes; None where these are not among the ways."""
    if Passes.TWO not in ways or own is every[0]:
        return None
    return significant(1 - own.total / every[0].total, 4)


def _mbit(own: Traffic) -> dict[str, float]:
    return {name: significant(bits * 1e-6, _DIGITS) for name, bits in vars(own).items()}
