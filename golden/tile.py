"""Tiles: their outputs after every step, bit-exact (docs/numerics.md section 10).

A step is a product in each lane. Tiles end at steps with `last`; axis 0 of an array is steps, or
tiles where it says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..support.words import Codes
from .dots import block_dot
from .floats import Flags, add, check_codes, multiply
from .mac import MacTrace, accumulate_floats, float_mac, fp8_mac, mls_mac
from .spec import (
    FP32,
    GUARD_BITS,
    SCALE_E8M1,
    TILES,
    Accumulate,
    ElementFormat,
    FloatFormat,
    Operands,
    Overflow,
    ScaleFormat,
    Tree,
    check_int,
    choice,
)
from .tree import (
    EXACT_BITS,
    aligned_tree,
    aligned_width,
    exact_tree,
    float32_codes,
    fp32_tree,
    scaled_terms,
    to_float32,
)


def mls_tile(
    inputs: Mapping[str, Codes],
    *,
    format: ElementFormat,
    scale: ScaleFormat,
    lanes: int,
    acc_width: int,
    overflow: Overflow | str = Overflow.SATURATE,
    tree: Tree | str = Tree.FP32,
    guard_bits: int = GUARD_BITS,
    tiles: int = TILES,
    tensor_scale: bool = True,
) -> dict[str, Codes]:
    """`z = fl(sum over tiles(tree over lanes(T)) * tensor_scale)`, `T = scale factor * P`, with P a
    lane's accumulator at `last`; the sum begins with the tile that has `first`.

    Parameters:
        inputs: by port. `w`, `a` (T, lanes): codes {sign, exp, man} of `format`; `w_scale`,
            `a_scale` (T, lanes): codes {exp, man} of `scale`, read at `last`; `start`, `last`,
            `first`, `finish` (T,): 0 or 1, the latter two read at `last`, all four 1 in step 0;
            `tensor_scale` (T,): float32 code, read at `finish`.
        lanes: 1..64.
        acc_width, overflow: of the accumulators, as in `mls_mac`; terms, or aligned sums, of at
            most 54 bits.
        tree: "fp32", "aligned" or "exact"; `guard_bits`: of aligned terms, 0..32.
        tiles: most tiles of an output of the exact tree, >= 1.
        tensor_scale: whether there is such a port; else outputs are not multiplied.
    Returns: by port, (T,): `z`, the float32 code of the newest output, `valid`, 1 where it is new,
        `overflow`, 1 where one of its accumulators left its range.
    Raises: TypeError, ValueError.
    Source: docs/numerics.md section 10.
    """
    steps = _Steps.checked(inputs, lanes)
    check_int("acc_width", acc_width, 2, 64)
    check_int("guard_bits", guard_bits, 0, 32)
    kind = choice("tree", Tree, tree)
    guard, terms_added = (guard_bits, lanes) if kind is Tree.ALIGNED else (0, 1)
    bits = aligned_width(acc_width, scale, guard, terms_added)
    if bits > EXACT_BITS:
        raise ValueError(
            f"acc_width must keep a tile's terms within {EXACT_BITS} bits, not {acc_width!r} "
            f"({bits} bits)"
        )
    sums, sticky = steps.lane_sums(
        inputs,
        lambda w, a, start: mls_mac(w, a, start, format, acc_width=acc_width, overflow=overflow),
    )
    w_scale, a_scale = (
        steps.lane_codes(inputs, port, scale.code_width) for port in ("w_scale", "a_scale")
    )
    terms, exponent = scaled_terms(sums, w_scale, a_scale, format, scale)
    if kind is Tree.EXACT:
        acc = _exact_outputs(terms, exponent, steps, tiles)
    else:
        if kind is Tree.FP32:
            parts = fp32_tree(to_float32(terms, exponent).T)
        else:
            parts = aligned_tree(terms.T, exponent.T, guard_bits=guard_bits)
        acc = _accumulate(float32_codes(parts), steps)
    outputs = _outputs(acc, inputs, steps, tensor_scale=tensor_scale)
    outputs["overflow"] = steps.hold(steps.any_since_first(np.any(sticky, axis=1)))
    return outputs


def fp8_tile(
    inputs: Mapping[str, Codes], *, format: FloatFormat, lanes: int, tensor_scale: bool = True
) -> dict[str, Codes]:
    """`z = fl(sum over tiles(tree over lanes(acc)) * tensor_scale)`, acc being a lane's `fp8_mac`
    at `last`; each add is float32.

    Parameters: as in `mls_tile`, without scales; `w`, `a`: codes of FP8_E5M2 or FP8_E4M3.
    Returns: `z` and `valid`, as `mls_tile`.
    Raises: TypeError, ValueError.
    """
    steps = _Steps.checked(inputs, lanes)
    sums, _ = steps.lane_sums(inputs, lambda w, a, start: fp8_mac(w, a, start, format))
    acc = _accumulate(_float_tree(sums.T), steps)
    return _outputs(acc, inputs, steps, tensor_scale=tensor_scale)


def fp32_tile(
    inputs: Mapping[str, Codes],
    *,
    lanes: int,
    subnormals: bool = True,
    tensor_scale: bool = False,
) -> dict[str, Codes]:
    """`fp8_tile` of float32 codes; without `subnormals` every multiply and add flushes to zero."""
    steps = _Steps.checked(inputs, lanes)
    sums, _ = steps.lane_sums(
        inputs, lambda w, a, start: float_mac(w, a, start, FP32, subnormals=subnormals)
    )
    acc = _accumulate(_float_tree(sums.T, subnormals=subnormals), steps, subnormals=subnormals)
    return _outputs(acc, inputs, steps, tensor_scale=tensor_scale, subnormals=subnormals)


def dot_tile(
    inputs: Mapping[str, Codes],
    *,
    format: ElementFormat,
    lanes: int,
    products: int = 9,
    scale: ScaleFormat | None = SCALE_E8M1,
    operands: Operands | str = Operands.DECODER,
    accumulate: Accumulate | str = Accumulate.WINDOW,
    window: int = 40,
    blocks: int = 1024,
    flag: bool = False,
    tensor_scale: bool = True,
) -> dict[str, Codes]:
    """`z = fl(fl(sum over steps and lanes of P * S_w * S_a) * tensor_scale)`: `block_dot` of groups
    of `products` pairs, one in each of `lanes` lanes, its outputs multiplied.

    Parameters:
        inputs, format, scale, operands, accumulate, window, blocks, flag: as in `block_dot`, lane
            by lane; `first` and `finish` both 1 in step 0; `tensor_scale` (T,): float32 code, read
            at `finish`.
        tensor_scale: whether there is such a port; else outputs are not multiplied.
    Returns: by port, (T,): `z`, the float32 code of the newest output, `valid`, 1 where it is new,
        and, with `flag`, `overflow` of the newest output.
    Raises: TypeError, ValueError.
    Source: docs/numerics.md section 19.
    """
    check_int("lanes", lanes, 1, 64)
    check_int("products", products, 1, 1024)
    outputs = block_dot(
        {port: codes for port, codes in inputs.items() if port != "tensor_scale"},
        format=format,
        lanes=products,
        groups=lanes,
        scale=scale,
        operands=operands,
        accumulate=accumulate,
        window=window,
        blocks=blocks,
        flag=flag,
    )
    valid = outputs.pop("valid")
    if not valid[0]:
        raise ValueError("finish must be 1 in step 0, which is a whole output, not 0")
    ends = np.flatnonzero(valid)
    results = {port: codes[ends] for port, codes in outputs.items()}
    if tensor_scale:
        results["z"] = multiply(results["z"], inputs["tensor_scale"][ends], FP32)
    return {port: _held(values, valid) for port, values in results.items()} | {"valid": valid}


def _held(values: npt.NDArray[np.generic], valid: Codes) -> Codes:
    """Values of the outputs (outputs,) as each holds from its step to the next one's, (T,)."""
    return values[np.cumsum(valid) - 1].astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Steps:
    """The control ports of a run.

    Members: `start`: bool (T,); `last`: int64 (tiles,), the steps with `last`; `finish`: int64
    (outputs,), the tiles with `finish`; `begin`: int64 (tiles,), the newest tile with `first`.
    """

    start: Flags
    last: npt.NDArray[np.int64]
    finish: npt.NDArray[np.int64]
    begin: npt.NDArray[np.int64]

    @classmethod
    def checked(cls, inputs: Mapping[str, Codes], lanes: int) -> "_Steps":
        """Raises: TypeError, ValueError."""
        check_int("lanes", lanes, 1, 64)
        for port in ("w", "a"):
            shape = inputs[port].shape
            if len(shape) != 2 or shape[0] == 0 or shape[1] != lanes:
                raise ValueError(f"{port} must be of shape (T, {lanes}), not {shape!r}")
        marks = {}
        for port in ("start", "last", "first", "finish"):
            marks[port] = check_codes(port, inputs[port], 1) != 0
            if marks[port].shape != inputs["w"].shape[:1]:
                raise ValueError(f"{port} must have an entry a step, not {marks[port].shape!r}")
            if not marks[port][0]:
                raise ValueError(f"{port} must be 1 in step 0, which is a whole output, not 0")
        last = np.flatnonzero(marks["last"])
        begin = np.where(marks["first"][last], np.arange(len(last)), 0)
        finish = np.flatnonzero(marks["finish"][last])
        return cls(marks["start"], last, finish, np.maximum.accumulate(begin))

    def lane_sums(
        self, inputs: Mapping[str, Codes], mac: Callable[[Codes, Codes, Flags], MacTrace]
    ) -> tuple[Codes, Flags]:
        """Each lane's accumulator and its sticky flag (False for a float) at `last`, (tiles,
        lanes).
        """
        shape = (len(self.last), inputs["w"].shape[1])
        sums, sticky = np.empty(shape, np.int64), np.zeros(shape, np.bool_)
        for lane in range(shape[1]):
            trace = mac(inputs["w"][:, lane], inputs["a"][:, lane], self.start)
            sums[:, lane] = trace.acc[self.last]
            if trace.overflow is not None:
                sticky[:, lane] = trace.overflow[self.last]
        return sums, sticky

    def lane_codes(self, inputs: Mapping[str, Codes], port: str, width: int) -> Codes:
        """A port's codes at `last`, (tiles, lanes). Raises: TypeError, ValueError."""
        if inputs[port].shape != inputs["w"].shape:
            expected = inputs["w"].shape
            raise ValueError(
                f"{port} must be of w's shape {expected!r}, not {inputs[port].shape!r}"
            )
        return check_codes(port, inputs[port], width)[self.last]

    def any_since_first(self, flags: Flags) -> Flags:
        """Whether any tile (tiles,) of an output has its flag set, (outputs,)."""
        count = np.cumsum(flags)
        begin = self.begin[self.finish]
        return count[self.finish] - count[begin] + flags[begin] > 0

    def hold(self, values: npt.NDArray[np.generic]) -> Codes:
        """`_held` of the outputs' values (outputs,), (T,)."""
        return _held(values, self.valid)

    @property
    def valid(self) -> Codes:
        """1 at the last step of each output, (T,)."""
        valid = np.zeros(len(self.start), np.int64)
        valid[self.last[self.finish]] = 1
        return valid


def _float_tree(leaves: Codes, *, subnormals: bool = True) -> Codes:
    """Float32 sum of `leaves` (lanes, tiles): neighbours first, an odd last one passing through."""
    while len(leaves) > 1:
        pairs = add(leaves[:-1:2], leaves[1::2], FP32, subnormals=subnormals)
        leaves = np.concatenate([pairs, leaves[2 * len(pairs) :]])
    return leaves[0]


def _accumulate(parts: Codes, steps: _Steps, *, subnormals: bool = True) -> Codes:
    """Float32 sums of the outputs' tiles (tiles,) in their order, (outputs,)."""
    first = steps.begin == np.arange(len(parts))
    return accumulate_floats(parts, first, FP32, subnormals=subnormals).acc[steps.finish]


def _exact_outputs(terms: Codes, exponent: Codes, steps: _Steps, tiles: int) -> Codes:
    """`exact_tree` of all terms (tiles, lanes) of each output, (outputs,)."""
    check_int("tiles", tiles, 1, 1 << 20)
    count = np.arange(len(steps.begin)) - steps.begin + 1
    if count.max() > tiles:
        raise ValueError(f"an output must have at most {tiles} tiles, not {count.max()}")
    acc = np.empty(len(steps.finish), np.int64)
    for length in np.unique(count[steps.finish]):
        own = np.flatnonzero(count[steps.finish] == length)
        # (tiles of an output, lanes, outputs), then the leaves of an output as one axis.
        chosen = steps.finish[own] - np.arange(length)[:, np.newaxis]
        leaves = [
            values[chosen].transpose(0, 2, 1).reshape(-1, len(own)) for values in (terms, exponent)
        ]
        acc[own] = float32_codes(exact_tree(*leaves))
    return acc


def _outputs(
    acc: Codes,
    inputs: Mapping[str, Codes],
    steps: _Steps,
    *,
    tensor_scale: bool,
    subnormals: bool = True,
) -> dict[str, Codes]:
    """Multiply the outputs' sums (outputs,) and hold each until the next."""
    if tensor_scale:
        factor = inputs["tensor_scale"][steps.last[steps.finish]]
        acc = multiply(acc, factor, FP32, subnormals=subnormals)
    return {"z": steps.hold(acc), "valid": steps.valid}
