"""Nothing changes unnoticed: RTLIL, sidecar, vectors with their golden results, and the stimulus of
every unit, against digests that are committed.

A deliberate change of any of them is one of the interface: run this file as a program, which writes
`digests.json` anew, and say in CHANGELOG.md what changed and why.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlsmac.sim.corners import make_vectors
from mlsmac.study.stimuli.pairs import build
from mlsmac.units import UNITS, configure
from mlsmac.units.emit import sidecar, to_rtlil
from mlsmac.units.interfaces import with_interface

DIGESTS = Path(__file__).with_name("digests.json")
OPERATIONS = 200
STIMULUS = 600
SEED = 2026

INT5 = {"zero_points": True, "format": "5", "a_format": "2", "recoding": "booth4"}
TILE16 = {"lanes": 4, "acc_width": 16}

# Options as a user writes them; `interface`, `results` and `platform` are not the unit's.
MORE: list[tuple[str, dict[str, Any]]] = [
    ("mls_mac", {"format": "2,1", "recoding": "booth4", "acc_width": 16}),
    ("mls_mac", {"format": "0,4", "acc_width": 12, "overflow": "wrap"}),
    ("mls_mac", {"format": "3,2", "acc_width": "auto", "length": 9}),
    ("mls_mac", {"acc_width": 16}),
    ("mls_mac", {"format": "2,4", "acc_width": 16, "platform": "ecp5"}),
    ("fp32_mac", {"subnormals": False, "recoding": "booth4"}),
    ("fp32_mac", {"path": "single"}),
    ("fp8_mac", {"format": "e5m2"}),
    ("float_mac", {"format": "bf16", "acc_format": "fp32", "subnormals": False}),
    ("float_mac", {"format": "e4m3", "acc_format": "fp16"}),
    ("fused_mac", {"format": "e5m2", "acc_format": "6,9"}),
    ("fused_mac", {"format": "e4m3", "acc_format": "6,5", "path": "single"}),
    ("fused_mac", {"format": "bf16", "acc_format": "fp32"}),
    ("int_mac", {"acc_width": "auto", "length": 256, "overflow": "wrap"}),
    ("int_mac", {"acc_width": 32}),
    ("int_mac", {**INT5, "acc_width": 32}),
    ("int_mac", {"a_format": "int16", "acc_width": 32, "platform": "ecp5"}),
    ("int_mac", {"zero_points": True, "acc_width": 32, "hold": True}),
    ("adder_mac", {"acc_width": 32}),
    ("adder_mac", {"format": "int4", "acc_width": "auto", "length": 9, "overflow": "wrap"}),
    ("lns_mac", {"table_bits": 0, "overflow": "wrap", "acc_width": 17}),
    ("lns_mac", {"acc_width": 24}),
    ("lns_mac", {"format": "4,1", "table_bits": 1, "table_fraction": 20, "acc_width": 24}),
    ("kulisch_mac", {"format": "e5m2", "acc_width": "auto", "length": 256, "overflow": "wrap"}),
    ("kulisch_mac", {"acc_width": 38, "recoding": "booth4"}),
    ("mls_multiplier", {"format": "1,6", "recoding": "booth4"}),
    ("mls_dot", {"format": "4,3", "lanes": 3}),
    ("block_dot", {"lanes": 9, "groups": 4, "scale": "8,1", "operands": "decoder"}),
    ("block_dot", {"format": "0,7", "scale": "none", "operands": "decoded", "lanes": 8}),
    ("block_dot", {"scale": "5,3", "lanes": 8, "cycles": 2, "operands": "decoder"}),
    ("block_dot", {"format": "0,3", "scale": "5,3", "lanes": 4, "accumulate": "exact"}),
    ("block_dot", {"format": "4,3", "scale": "none", "lanes": 4, "accumulate": "float32"}),
    ("block_dot", {"format": "2,4", "lanes": 4, "hold": True, "flag": True, "window": 32}),
    ("block_dot", {"format": "4,3", "lanes": 4, "window": 64, "operands": "decoder"}),
    ("float_dot", {"format": "bf16", "lanes": 3, "guard_bits": 10}),
    ("exponent_shifter", {"format": "3,2"}),
    ("int_accumulator", {"acc_width": 16}),
    ("int_accumulator", {"format": "2,1", "acc_width": 9, "overflow": "wrap"}),
    ("float_multiplier", {"format": "e4m3", "subnormals": False}),
    ("float_adder", {"format": "e5m2", "path": "split"}),
    ("float_adder", {"format": "fp16", "subnormals": False}),
    ("float_fma", {"format": "e4m3", "acc_format": "6,5"}),
    ("float_fma", {"format": "fp16", "acc_format": "8,7", "path": "single"}),
    ("float_accumulator", {"format": "e4m3"}),
    ("group_scaler", {"acc_width": 16}),
    ("group_scaler", {"format": "1,6", "scale": "8,2", "acc_width": 40}),
    ("fp32_adder_tree", {"lanes": 7, "levels": 2}),
    ("aligned_adder_tree", {"lanes": 3, "scale": "8,0", "acc_width": 16, "guard_bits": 0}),
    ("exact_adder_tree", {"lanes": 4, "scale": "4,3", "acc_width": 16, "tiles": 2}),
    ("requantizer", {"format": "int4", "acc_width": 16, "random_bits": 3, "lfsr_seed": 9}),
    ("requantizer", {"acc_width": 32}),
    ("requantizer", {"rounding": "nearest", "acc_width": 32}),
    ("lfsr", {"lanes": 3, "random_bits": 24, "lfsr_seed": 77}),
    ("tensor_statistics", {"lanes": 5}),
    ("mls_quantizer", {"format": "2,1", "rounding": "nearest"}),
    ("mls_quantizer", {"division": "digits", "format": "0,4", "scale": "4,1", "lanes": 2}),
    ("mls_quantizer", {"format": "4,3", "scale": "8,0", "carry": "carry", "levels": 6}),
    ("mls_quantizer", {"reciprocal_bits": 8, "lanes": 2}),
    ("mls_quantizer", {"reciprocal_bits": 4, "format": "0,4", "carry": "carry", "levels": 8}),
    ("mls_quantizer", {"scaling": "delayed", "scale": "8,2", "lanes": 2}),
    ("block_quantizer", {"format": "mxint8", "lanes": 4, "rounding": "stochastic"}),
    ("block_quantizer", {"format": "mxfp8_e4m3", "lanes": 32}),
    ("block_quantizer", {"format": "nvfp4", "lanes": 4}),
    ("block_quantizer", {"format": "nvfp4", "lanes": 2, "rounding": "stochastic"}),
    ("mls_tile", {**TILE16, "sharing": 4, "format": "2,1", "tensor_scale": False}),
    ("mls_tile", {**TILE16, "overflow": "wrap", "sharing": 2, "levels": 2}),
    ("mls_tile", {"tree": "aligned", "lanes": 3, "scale": "8,0", "acc_width": 16, "guard_bits": 0}),
    ("mls_tile", {**TILE16, "tree": "exact", "sharing": 4, "scale": "4,3", "tiles": 3}),
    ("mls_tile", {"lanes": 2, "acc_width": 16, "interface": "stream"}),
    ("mls_tile", {"lanes": 2, "acc_width": 16, "interface": "axi", "results": 5}),
    ("fp8_tile", {"lanes": 4, "format": "e5m2", "sharing": 2, "levels": 2}),
    ("fp8_tile", {"lanes": 2, "interface": "axi"}),
    ("fp32_tile", {"lanes": 3, "subnormals": False, "tensor_scale": True}),
    ("dot_tile", {"lanes": 2, "format": "2,4", "flag": True, "blocks": 16}),
    ("dot_tile", {"lanes": 3, "products": 4, "accumulate": "exact", "scale": "4,3"}),
    ("dot_tile", {"lanes": 1, "format": "4,3", "scale": "none", "accumulate": "float32"}),
    ("dot_tile", {"lanes": 2, "products": 4, "interface": "stream"}),
    ("dot_tile", {"lanes": 2, "products": 4, "interface": "axi", "tensor_scale": False}),
    ("block_dot", {"lanes": 3, "cycles": 3, "hold": True, "interface": "axi"}),
    ("float_dot", {"lanes": 2, "interface": "stream"}),
    ("mls_mac", {"acc_width": 16, "clock_gating": True}),
    ("int_mac", {"zero_points": True, "acc_width": 32, "hold": True, "clock_gating": True}),
    ("fp8_mac", {"clock_gating": True}),
    ("fp32_mac", {"subnormals": False, "clock_gating": True}),
    ("kulisch_mac", {"acc_width": 38, "clock_gating": True}),
    ("mls_tile", {**TILE16, "clock_gating": True}),
    ("block_dot", {"lanes": 3, "cycles": 3, "clock_gating": True}),
    ("mls_quantizer", {"lanes": 2, "clock_gating": True}),
]
CASES: list[tuple[str, dict[str, Any]]] = [*((name, {}) for name in UNITS), *MORE]


def _key(name: str, given: Mapping[str, Any]) -> str:
    return " ".join([name, *(f"{option}={value}" for option, value in given.items())])


def _digest(parts: Iterable[Any]) -> str:
    """Of texts and arrays, framed; arrays as text, so that no type of integer decides."""
    whole = hashlib.sha256()
    for part in parts:
        text = part if isinstance(part, str) else json.dumps(np.asarray(part).tolist())
        whole.update(f"{len(text)}:{text}".encode())
    return whole.hexdigest()[:32]


def _arrays(ports: Mapping[str, Any]) -> Iterable[Any]:
    return (part for port in sorted(ports) for part in (port, ports[port]))


def digests(name: str, given: Mapping[str, Any]) -> dict[str, str]:
    """What is frozen of a configuration."""
    options = dict(given)
    interface, results = options.pop("interface", "wires"), options.pop("results", None)
    platform = options.pop("platform", None)
    unit = configure(name, **options)
    configuration = with_interface(unit, interface, results)
    found = {
        "slug": configuration.slug,
        "rtlil": _digest([to_rtlil(configuration, platform=platform)]),
    }
    if platform is not None:
        return found
    found["sidecar"] = _digest([json.dumps({**sidecar(configuration), "tools": None})])
    if interface != "wires":
        return found
    vectors = make_vectors(unit, OPERATIONS, SEED)
    found["vectors"] = _digest([*_arrays(vectors.inputs), *_arrays(vectors.outputs)])
    work = unit.workload(build(STIMULUS, SEED))
    found["workload"] = _digest([*_arrays(work.inputs), work.warm_up, f"{work.macs:.9g}"])
    return found


LARGE = [
    (name, {}) for name in ("fp8_tile", "fp32_tile", "dot_tile", "float_dot", "exact_adder_tree")
]
"""Elaborating their 16 lanes takes up to a minute; smaller ones are above."""


@pytest.mark.parametrize(
    ("name", "given"),
    [pytest.param(*case, marks=[pytest.mark.slow] if case in LARGE else []) for case in CASES],
    ids=[_key(*case) for case in CASES],
)
def test_nothing_changed(name: str, given: dict[str, Any]) -> None:
    committed = json.loads(DIGESTS.read_text(encoding="utf-8"))
    assert digests(name, given) == committed[_key(name, given)]


def test_every_digest_is_checked() -> None:
    committed = json.loads(DIGESTS.read_text(encoding="utf-8"))
    assert list(committed) == [_key(*case) for case in CASES]


if __name__ == "__main__":
    table = {_key(*case): digests(*case) for case in CASES}
    DIGESTS.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
