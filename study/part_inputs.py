"""What every unit is measured on, from the one stimulus: MACs take it as it is, parts take what
they see inside a MAC or a tile, tiles whole outputs of the same tensors.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..golden.quantize import element_fields
from ..golden.quantizer import tensor_beats
from ..golden.spec import FP32, ElementFormat, IntFormat, Overflow, Rounding
from ..synth.simulation.gatesim import WARM_UP_CYCLES
from ..units.catalogue import Configuration, configure
from ..units.reference import Codes, reference
from .measure import Workload
from .stimuli import tiles as tile_stimulus
from .stimuli.pairs import Stimulus
from .stimuli.tiles import TileStimulus

Inputs = dict[str, Codes]

_OF_A_MULTIPLIER = ("format", "subnormals")


def workload(configuration: Configuration, stimulus: Stimulus) -> Workload:
    """What a unit is measured on. A tile gets about as many products as the stimulus has pairs."""
    if not configuration.is_tile:
        inputs = unit_inputs(configuration.name, configuration.options, stimulus)
        if configuration.name not in _STREAMS:
            return Workload(inputs)
        # Energy is by element, of which a group's last beat may hold fewer than there are lanes.
        warm_up = max(WARM_UP_CYCLES, configuration.build().latency + 2)
        elements = _beats(configuration.options, stimulus)["elements"]
        return Workload(inputs, warm_up, float(elements[warm_up:].mean()))
    tile = configuration.build()
    steps = tile_steps(stimulus, configuration.options["lanes"], tile.interval)
    # From then on every register has been defined by the first output.
    warm_up = tile.latency + tile.interval
    macs = float(steps.products[warm_up:].mean())
    return Workload(steps.inputs(configuration.options), warm_up, macs)


def tile_steps(stimulus: Stimulus, lanes: int, interval: int, *, times: int = 1) -> TileStimulus:
    """Steps of a tile, about `times` as many products as the stimulus has pairs, of the same
    tensors.
    """
    return tile_stimulus.build(
        times * len(stimulus),
        stimulus.seed,
        lanes=lanes,
        interval=interval,
        kinds=stimulus.kinds,
        layers=stimulus.layers,
    )


def unit_inputs(unit: str, options: Mapping[str, Any], stimulus: Stimulus) -> Inputs:
    """Codes for every input port of `unit`, one entry an operation.

    The operands are the stimulus in the unit's number format; a multiplier multiplies the pairs, an
    accumulator adds their products, an adder adds each product to the sum so far; scalers and
    trees get the sums and scales of a tile's groups.
    Raises: ValueError for an unknown unit.
    """
    if unit in _BEHIND_MACS:
        return _BEHIND_MACS[unit](dict(options), stimulus)
    mac = _mac(options, stimulus)
    if unit.endswith("_mac"):
        return mac
    if unit not in _PARTS:
        raise ValueError(
            f"unit must be a MAC or one of {', '.join((*_PARTS, *_BEHIND_MACS))}, not {unit!r}"
        )
    return _PARTS[unit](mac, dict(options))


def _mac(options: Mapping[str, Any], stimulus: Stimulus) -> Inputs:
    format = options.get("format", FP32)
    a_format = options.get("a_format", format)
    if options.get("zero_points"):
        operands = stimulus.encode_affine(format, a_format)
    else:
        operands = dict(zip("wa", stimulus.encode(format, a_format), strict=True))
    return operands | {"start": stimulus.start.astype(np.int64)}


def _operands(mac: Inputs, options: dict[str, Any]) -> Inputs:
    return {"x": mac["w"], "y": mac["a"]}


def _dot(mac: Inputs, options: dict[str, Any]) -> Inputs:
    """`lanes` neighbouring pairs a step."""
    lanes = options["lanes"]
    steps = len(mac["w"]) // lanes
    return {
        port: mac[key][: steps * lanes].reshape(steps, lanes)
        for port, key in (("x", "w"), ("y", "a"))
    }


def _shifter(mac: Inputs, options: dict[str, Any]) -> Inputs:
    format: ElementFormat = options["format"]
    (_, w_exp, w_man), (_, a_exp, a_man) = (
        element_fields(mac[port], format) for port in ("w", "a")
    )
    hidden = 1 << format.man_bits
    product = (w_man + hidden * (w_exp > 0)) * (a_man + hidden * (a_exp > 0))
    return {"i": product, "x_exp": w_exp, "y_exp": a_exp}


def _products(multiplier: str) -> Callable[[Inputs, dict[str, Any]], Inputs]:
    def products(mac: Inputs, options: dict[str, Any]) -> Inputs:
        wanted = {name: value for name, value in options.items() if name in _OF_A_MULTIPLIER}
        product = reference(multiplier, wanted, _operands(mac, options))["product"]
        return {"product": product, "start": mac["start"]}

    return products


def _adder(mac: Inputs, options: dict[str, Any]) -> Inputs:
    inputs = _products("float_multiplier")(mac, options)
    sums = reference("float_accumulator", options, inputs)["acc"]
    before = _before(sums, inputs["start"], options["format"].code_width)
    return {"x": before, "y": inputs["product"]}


def _fma(mac: Inputs, options: dict[str, Any]) -> Inputs:
    sums = reference("fused_mac", options, mac)["acc"]
    before = _before(sums, mac["start"], options["acc_format"].code_width)
    return {**_operands(mac, options), "z": before}


def _before(sums: Codes, start: Codes, width: int) -> Codes:
    """The addend of each step: the sum so far, at a start the identity of addition, -0."""
    identity = 1 << (width - 1)
    return np.where(start, identity, np.concatenate([[identity], sums[:-1]]))


def _activations(mac: Inputs, options: dict[str, Any]) -> Inputs:
    return {"x": mac["a"], "start": mac["start"]}


def _group_sums(mac: Inputs, options: dict[str, Any]) -> Inputs:
    """The groups' sums, each shifted as far as brings the largest of them into the format; the
    generator starts once.
    """
    format: IntFormat = options["format"]
    widths = {"format": format, "a_format": format, "acc_width": options["acc_width"]}
    integers = configure("int_mac", **widths).options
    sums = reference("int_mac", integers, mac)["acc"][np.append(mac["start"][1:], 1) > 0]
    largest = int(np.abs(sums).max()).bit_length()
    shift = np.full(len(sums), max(largest - format.width + 1, 0))
    inputs = {"acc": sums, "shift": shift}
    if options["rounding"] is Rounding.STOCHASTIC:
        inputs["start"] = _first(len(sums))
    return inputs


def _first(count: int) -> Codes:
    """A generator's `start`: the first step alone."""
    return (np.arange(count) == 0).astype(np.int64)


_PARTS: Mapping[str, Callable[[Inputs, dict[str, Any]], Inputs]] = {
    "mls_multiplier": _operands,
    "float_multiplier": _operands,
    "mls_dot": _dot,
    "exponent_shifter": _shifter,
    "int_accumulator": _products("mls_multiplier"),
    "float_accumulator": _products("float_multiplier"),
    "float_adder": _adder,
    "range_statistic": _activations,
    "requantizer": _group_sums,
    "lfsr": lambda mac, options: {"start": _first(len(mac["start"]))},
    "float_fma": _fma,
}


def _groups(options: dict[str, Any], stimulus: Stimulus) -> Inputs:
    """Sums and scale codes of groups, (tiles, lanes), as a tile's MACs leave them."""
    steps = tile_steps(stimulus, options["lanes"], 1, times=options["lanes"])
    ports = steps.inputs(options)
    last = ports["last"].astype(bool)
    mac = {name: options[name] for name in ("format", "acc_width")} | {"overflow": _SATURATE}
    sums = [
        reference("mls_mac", mac, {"w": w, "a": a, "start": ports["start"]})["acc"][last]
        for w, a in zip(ports["w"].T, ports["a"].T, strict=True)
    ]
    scales = {port: ports[port][last] for port in ("w_scale", "a_scale")}
    marks = {"valid": ports["last"][last], "first": ports["first"][last]}
    return {"p": np.stack(sums, axis=1), **scales, **marks}


def _group_scaler(options: dict[str, Any], stimulus: Stimulus) -> Inputs:
    groups = _groups(options | {"lanes": 1}, stimulus)
    return {port: groups[port].ravel() for port in ("p", "w_scale", "a_scale")}


def _float_leaves(options: dict[str, Any], stimulus: Stimulus) -> Inputs:
    scaler = dict(configure("group_scaler").options)
    groups = _groups(scaler | options, stimulus)
    leaves = reference("group_scaler", scaler, groups)["z"]
    return {"i": leaves, "valid": groups["valid"]}


def _aligned_leaves(options: dict[str, Any], stimulus: Stimulus) -> Inputs:
    groups = _groups(options, stimulus)
    del groups["first"]
    return groups


def _beats(options: Mapping[str, Any], stimulus: Stimulus) -> Inputs:
    """Groups "nc" of all captured tensors in turn, drawn, as beats of `lanes` elements: what both
    passes of a quantizer read, and how many elements each beat has.

    Each tensor gets the same number of beats, its last group cut.
    """
    lanes = options["lanes"]
    rng = np.random.default_rng(stimulus.seed)
    tensors = [tensor for layer in stimulus.layers for tensor in layer.tensors().values()]
    rng.shuffle(tensors)
    parts: dict[str, list[Codes]] = {}
    for place, tensor in enumerate(tensors):
        share = (place + 1) * len(stimulus) // len(tensors) - place * len(stimulus) // len(tensors)
        for port, values in _tensor_beats(tensor, share, lanes, rng).items():
            parts.setdefault(port, []).append(values)
    return {port: np.concatenate(values) for port, values in parts.items()}


def _tensor_beats(tensor: np.ndarray, beats: int, lanes: int, rng: np.random.Generator) -> Inputs:
    """`beats` beats of groups of one tensor, drawn."""
    groups, length = tensor.shape[0] * tensor.shape[1], tensor.shape[2] * tensor.shape[3]
    chosen = rng.integers(0, groups, -(-beats // -(-length // lanes)))
    drawn = tensor_beats(tensor, lanes, chosen)
    return {port: values[:beats] for port, values in drawn.items()}


def _stream(*ports: str) -> Callable[[dict[str, Any], Stimulus], Inputs]:
    """Ports of a unit that takes beats; generators start once."""

    def inputs(options: dict[str, Any], stimulus: Stimulus) -> Inputs:
        beats = _beats(options, stimulus)
        inputs = {port: beats[port] for port in ports}
        if options.get("rounding") is Rounding.STOCHASTIC:
            inputs["seed"] = _first(len(inputs["x"]))
        return inputs

    return inputs


_STREAMS = {
    "tensor_statistics": _stream("x", "valid", "first", "last"),
    "mls_quantizer": _stream("x", "start", "group_max", "tensor_max"),
}
"""Units that take elements of tensors, beat by beat."""

_SATURATE = Overflow.SATURATE
_BEHIND_MACS: Mapping[str, Callable[[dict[str, Any], Stimulus], Inputs]] = {
    "group_scaler": _group_scaler,
    "fp32_adder_tree": _float_leaves,
    "aligned_adder_tree": _aligned_leaves,
    "exact_adder_tree": _groups,
    **_STREAMS,
}
