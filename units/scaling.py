"""What stands behind the MACs of a tile: group scalers and adder trees."""

from typing import Any

import numpy as np

from ..golden.mac import mls_mac
from ..golden.spec import MLS_E2M4, SCALE_E8M1, ElementFormat, Overflow, ScaleFormat, check_int
from ..golden.tree import (
    EXACT_BITS,
    aligned_tree,
    aligned_width,
    exact_tree,
    float32_codes,
    fp32_tree,
    scaled_terms,
    to_float32,
)
from ..hw.tile.adder_trees import Fp32AdderTree
from ..hw.tile.group_scaler import GroupScaler
from ..hw.tile.scaled_trees import AlignedSum, ExactSum
from ..hw.tile.tile import MlsTile
from ..support.words import Codes
from .catalogue import Unit
from .corners import trees
from .corners.general import drawn
from .macs import largest_mls_product, last_mls_bit
from .models import Ports, mac
from .workloads import Inputs, Options, Source, sums

_DEFAULTS: dict[str, Any] = {"format": MLS_E2M4, "scale": SCALE_E8M1}
_SCALER = _DEFAULTS | {"acc_width": 16}
"""Of the leaves that a float32 tree is measured on."""


def _leaf_terms(inputs: Ports, format: ElementFormat, scale: ScaleFormat) -> tuple[Codes, Codes]:
    return scaled_terms(inputs["p"], inputs["w_scale"], inputs["a_scale"], format, scale)


def _group_scaler(
    inputs: Ports, *, format: ElementFormat, scale: ScaleFormat, acc_width: int
) -> dict[str, Codes]:
    check_int("acc_width", acc_width, 2, 53 - 2 * scale.man_bits - 2)  # T is exact in float64
    return {"z": float32_codes(to_float32(*_leaf_terms(inputs, format, scale)))}


def _fp32_adder_tree(inputs: Ports, *, lanes: int) -> dict[str, Codes]:
    leaves = inputs["i"].astype(np.uint32).view(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        return _held(inputs, float32_codes(fp32_tree(leaves.T)))


def _aligned_adder_tree(
    inputs: Ports,
    *,
    format: ElementFormat,
    scale: ScaleFormat,
    acc_width: int,
    lanes: int,
    guard_bits: int,
) -> dict[str, Codes]:
    width = aligned_width(acc_width, scale, guard_bits, lanes)
    if width > EXACT_BITS:
        rule = f"acc_width must keep aligned sums within {EXACT_BITS} bits"
        raise ValueError(f"{rule}, not {acc_width!r} ({width} bits)")
    terms, exponent = _leaf_terms(inputs, format, scale)
    return _held(inputs, float32_codes(aligned_tree(terms.T, exponent.T, guard_bits=guard_bits)))


def _exact_adder_tree(
    inputs: Ports,
    *,
    format: ElementFormat,
    scale: ScaleFormat,
    acc_width: int,
    lanes: int,
    tiles: int,
) -> dict[str, Codes]:
    check_int("acc_width", acc_width, 2, 64 - 2 * scale.man_bits - 2)  # T in 64 bits
    terms, exponent = _leaf_terms(inputs, format, scale)
    valid = np.flatnonzero(inputs["valid"])
    starts = np.flatnonzero(inputs["first"][valid])
    place = np.arange(len(valid)) - np.repeat(starts, np.diff(starts, append=len(valid)))
    sums = np.zeros(len(inputs["valid"]), np.float32)
    # The sum so far of every tile that is its output's first, second, ...
    for last in range(place.max() + 1):
        newest = np.flatnonzero(place == last)
        steps = valid[newest - np.arange(last + 1)[:, None]]
        leaves = [np.moveaxis(x[steps], 1, 2).reshape(-1, len(newest)) for x in (terms, exponent)]
        sums[steps[0]] = exact_tree(*leaves)
    return _held(inputs, float32_codes(sums))


def _held(inputs: Ports, sums: Codes) -> dict[str, Codes]:
    """A tree's outputs: the sum of the newest valid step. The first step is valid."""
    steps = np.arange(len(sums))
    newest = np.maximum.accumulate(np.where(inputs["valid"], steps, 0))
    return {"sum": sums[newest], "sum_valid": inputs["valid"]}


def _groups(options: Options, source: Source) -> Inputs:
    """Sums and scale codes of groups, (tiles, lanes), as a tile's MACs leave them."""
    steps = source.tile(options["lanes"], 1, times=options["lanes"])
    ports = steps.inputs(options)
    last = ports["last"].astype(bool)
    lane = {name: options[name] for name in ("format", "acc_width")}
    totals = [
        mac(mls_mac)({"w": w, "a": a, "start": ports["start"]}, **lane, overflow=Overflow.SATURATE)
        for w, a in zip(ports["w"].T, ports["a"].T, strict=True)
    ]
    scales = {port: ports[port][last] for port in ("w_scale", "a_scale")}
    marks = {"valid": ports["last"][last], "first": ports["first"][last]}
    return {"p": np.stack([each["acc"][last] for each in totals], axis=1), **scales, **marks}


def _one_lane(options: Options, source: Source) -> Inputs:
    groups = _groups({**options, "lanes": 1}, source)
    return {port: groups[port].ravel() for port in ("p", "w_scale", "a_scale")}


def _float_leaves(options: Options, source: Source) -> Inputs:
    groups = _groups({**_SCALER, **options}, source)
    leaves = _group_scaler(groups, **_SCALER)["z"]
    return {"i": leaves, "valid": groups["valid"]}


def _tiles_apart(options: Options, source: Source) -> Inputs:
    groups = _groups(options, source)
    del groups["first"]
    return groups


def _of_tree(lanes: int, levels: int) -> Options:
    return {"leaves": lanes, "levels": levels}


_TREE_OPTIONS: dict[str, Any] = {name: MlsTile.parameters[name] for name in ("lanes", "levels")}

ROWS = (
    Unit(
        name="group_scaler",
        description="Group scaler: accumulated sum times its two group scales, to float32",
        component=GroupScaler,
        defaults=_DEFAULTS,
        model=_group_scaler,
        corners=drawn(trees.scaler),
        workload=sums(_one_lane),
        largest_product=largest_mls_product,
        last_bit=last_mls_bit,
    ),
    Unit(
        name="fp32_adder_tree",
        description="Float32 sum of a tile's leaves: balanced binary tree, registered",
        component=Fp32AdderTree,
        parameters=_TREE_OPTIONS,
        arguments=_of_tree,
        model=_fp32_adder_tree,
        corners=drawn(trees.leaves),
        workload=sums(_float_leaves),
    ),
    Unit(
        name="aligned_adder_tree",
        description="Sum of a tile aligned to its largest scale: scales, shifts, adds, rounds",
        component=AlignedSum,
        defaults=_DEFAULTS,
        model=_aligned_adder_tree,
        corners=drawn(trees.groups),
        workload=sums(_tiles_apart),
        largest_product=largest_mls_product,
        last_bit=last_mls_bit,
    ),
    Unit(
        name="exact_adder_tree",
        description="Exact sum of an output's scaled terms, rounded once",
        component=ExactSum,
        defaults=_DEFAULTS,
        model=_exact_adder_tree,
        corners=drawn(trees.outputs),
        workload=sums(_groups),
        largest_product=largest_mls_product,
        last_bit=last_mls_bit,
    ),
)
