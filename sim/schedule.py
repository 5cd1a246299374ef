"""Convolutions of MLS tensors as the steps of a tile (docs/numerics.md sections 9, 10 and 19)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..golden.lowering import Convolution, Steps, check_equal, lower
from ..golden.quantize import MlsTensor
from ..support.words import Codes


@dataclass(frozen=True, eq=False)
class Schedule:
    """Inputs of a tile, by port and step.

    Members: `inputs`: the ports' codes, (steps,) or (steps, lanes); `outputs`: places in z of the
    convolution's outputs, in their order.
    """

    inputs: dict[str, Codes]
    outputs: Codes

    @property
    def finishes(self) -> Codes:
        """The steps at which these outputs end."""
        return np.flatnonzero(self.inputs["finish"])[-len(self.outputs) :]


def schedule(
    convolution: Convolution,
    w: MlsTensor,
    a: MlsTensor,
    *,
    lanes: int,
    interval: int,
    outputs: npt.NDArray[np.integer] | None = None,
) -> Schedule:
    """Every step of a tile that computes outputs of a convolution.

    Step 0 is a whole output of idle lanes, which defines the tile; `outputs` leaves it out.

    Parameters: `w`, `a`: tensors of the convolution's shapes, groups "nc"; `lanes` 1 or more;
    `interval`: fewest steps from a `last` to the next; `outputs`: places in z, None: all.
    Raises: TypeError, ValueError.
    Source: docs/numerics.md section 10.
    """
    steps = lower(convolution, lanes=lanes, interval=interval, outputs=outputs)
    inputs = _codes(convolution, steps, w, a)
    for port in ("start", "last", "first", "finish"):
        inputs[port] = getattr(steps, port)
    idle = {"w": 0, "a": 0, "w_scale": _idle_scale(w), "a_scale": _idle_scale(a)}
    for port, codes in inputs.items():
        begin = np.full((1, *codes.shape[1:]), idle.get(port, 1), np.int64)
        inputs[port] = np.concatenate([begin, codes])
    inputs["tensor_scale"] = np.full(len(inputs["start"]), tensor_scale_code(w, a), np.int64)
    return Schedule(inputs, steps.outputs)


def stream(
    convolution: Convolution,
    w: MlsTensor,
    a: MlsTensor,
    *,
    lanes: int,
    outputs: npt.NDArray[np.integer] | None = None,
) -> Schedule:
    """`schedule` as the beats of a stream: ports `w`, `a`, `w_scale`, `a_scale`, `last`, `finish`;
    no idle step, none that only defines the tile.
    """
    steps = lower(convolution, lanes=lanes, outputs=outputs)
    inputs = _codes(convolution, steps, w, a) | {"last": steps.last, "finish": steps.finish}
    return Schedule(inputs, steps.outputs)


def dot_schedule(
    convolution: Convolution,
    w: MlsTensor,
    a: MlsTensor,
    *,
    lanes: int,
    products: int,
    outputs: npt.NDArray[np.integer] | None = None,
) -> Schedule:
    """`schedule` of a `dot_tile`: what a tile of MACs takes in `products` steps, it takes in one.

    Parameters: `convolution`: of leaves of at most `products` (its `segment`).
    Raises: TypeError, ValueError.
    Source: docs/numerics.md section 19.
    """
    if convolution.segment > products:
        raise ValueError(f"segment must be at most {products}, not {convolution.segment}")
    single = schedule(convolution, w, a, lanes=lanes, interval=products, outputs=outputs)
    inputs: dict[str, Codes] = {}
    for port, codes in single.inputs.items():
        rest = codes[1:].reshape(-1, products, *codes.shape[1:])
        if port in "wa":
            # A lane's products side by side; step 0 defines the tile, whatever its operands.
            begin = np.zeros((1, lanes * products), np.int64)
            inputs[port] = np.concatenate([begin, rest.swapaxes(1, 2).reshape(len(rest), -1)])
        else:
            inputs[port] = np.concatenate([codes[:1], rest[:, -1]])
    return Schedule(
        {port: codes for port, codes in inputs.items() if port not in ("start", "last")},
        single.outputs,
    )


def tensor_scale_code(w: MlsTensor, a: MlsTensor) -> int:
    """Float32 code of `fl(S_t_w * S_t_a)`."""
    with np.errstate(over="ignore", under="ignore"):
        factor = np.float32(w.tensor_scale) * np.float32(a.tensor_scale)
    return int(factor.view(np.uint32))


def _codes(convolution: Convolution, steps: Steps, w: MlsTensor, a: MlsTensor) -> dict[str, Codes]:
    for port, tensor in (("w", w), ("a", a)):
        check_equal(f"{port}'s shape", tensor.shape, getattr(convolution, port))
        check_equal(f"{port}'s scales", tensor.scale_exp.shape, (*tensor.shape[:2], 1, 1))
    check_equal("a's element", a.element, w.element)
    check_equal("a's scale", a.scale, w.scale)
    codes = {}
    for port, tensor in (("w", w), ("a", a)):
        codes[port] = _take(tensor.codes(), getattr(steps, port), 0)
        groups = getattr(steps, f"{port}_group")
        codes[f"{port}_scale"] = _take(tensor.scale_codes(), groups, _idle_scale(tensor))
    return codes


def _take(codes: npt.NDArray[np.integer], places: Codes, idle: int) -> Codes:
    """`codes` at these places, `idle` at -1."""
    return np.append(codes.astype(np.int64), idle)[places]


def _idle_scale(tensor: MlsTensor) -> int:
    """An idle lane's scale: the smallest of all."""
    return tensor.scale.max_exp << tensor.scale.man_bits
