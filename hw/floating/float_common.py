"""Steps that the floating-point multiplier and adder share: align, normalise, round, encode.

Each function adds combinational logic to the module `m` and names its signals after `name`.
A *sticky* bit is the OR of every bit that was dropped below the ones kept; with a guard bit it is
all that rounding to nearest even needs.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from ...golden.spec import FloatFormat, Specials
from ..parts.values import named

_NONE = Const(0, 1)


def fields(code: Value, format: FloatFormat) -> tuple[Value, Value, Value]:
    """Sign, exponent field and mantissa field of `code`."""
    return code[-1], code[format.man_bits : -1], code[: format.man_bits]


def align(m: Module, value: Value, amount: Value, *, name: str) -> tuple[Value, Value]:
    """Shift `value` right by the unsigned `amount`: (shifted, sticky).

    Every amount is allowed: those beyond the width leave zeros and the sticky bit. Small shifts
    come first, because the low bits of an exponent difference settle first: fewer glitches.
    """
    steps = len(value).bit_length()  # 2^steps - 1 >= len(value): all ones shifts everything out
    far = named(m, f"{name}_far", amount[steps:].any())
    sticky: Value = Const(0, 1)
    for i in range(steps):
        step = 1 << i
        select = named(m, f"{name}_select{i}", amount[i] | far if i < len(amount) else far)
        sticky = named(m, f"{name}_sticky{i}", sticky | (select & value[:step].any()))
        value = named(m, f"{name}_by{step}", Mux(select, value >> step, value)[: len(value)])
    return value, sticky


def normalise(
    m: Module,
    value: Value,
    sticky: Value,
    *,
    out_width: int,
    limit: Value,
    unlimited: Value,
    steps: int,
    enable: Value,
    always: int,
    isolate: bool,
    negative: Value = _NONE,
    name: str,
) -> tuple[Value, Value, Signal]:
    """Shift `value` left by min(leading zeros, limit): (its top `out_width` bits, sticky, amount).
    Where `negative`, by its leading ones instead.

    Digit by digit, from 2^(steps-1) down to 1: a step is taken where the bits it drops are zero and
    the amount so far stays within `limit` (`steps` bits; ignored where `unlimited`). That
    comparison needs no subtractor: while the amount equals the limit's upper digits, a step needs
    the limit's next digit; once a digit of the limit is left unused, every later step is free.

    Where `enable` is 0 only the last `always` steps are taken: the caller knows early that the
    others cannot be, and so keeps their selects quiet while `value` settles. `isolate` keeps their
    data quiet too, `value` going round them; that pays where `value` is wide and glitches much.
    """
    width = out_width + (1 << steps) - 1
    if len(value) < width:
        value = Cat(Const(0, width - len(value)), value)
    sticky = sticky | value[: len(value) - width].any()
    direct = value[len(value) - width :]
    value = named(m, f"{name}_in", direct & enable.replicate(width) if isolate else direct)
    amount: list[Value] = []
    free = unlimited
    for i in reversed(range(steps)):
        step = 1 << i
        leading = value[-step:]
        zeros = Mux(negative, leading.all(), ~leading.any())
        if i >= always:
            zeros &= enable
        zeros = named(m, f"{name}_zeros{i}", zeros)
        select = named(m, f"{name}_select{i}", zeros & (free | limit[i]))
        free = named(m, f"{name}_free{i}", free | (limit[i] & ~zeros))
        sticky = named(m, f"{name}_sticky{i}", sticky | (~select & value[:step].any()))
        # A bit of the `step` lowest is either shifted up, or below the bits kept and so sticky.
        value = named(m, f"{name}_by{step}", Mux(select, value[:-step], value[step:]))
        if isolate and i == always:
            sticky = named(
                m, f"{name}_joined_sticky", sticky | (~enable & direct[: -len(value)].any())
            )
            bypass = direct[-len(value) :] & (~enable).replicate(len(value))
            value = named(m, f"{name}_joined", value | bypass)
        amount.insert(0, select)
    return value, sticky, named(m, f"{name}_amount", Cat(amount))


def round_nearest_even(
    m: Module,
    mantissa: Value,
    guard: Value,
    sticky: Value,
    base: Value,
    hidden: Value,
    *,
    name: str,
) -> Signal:
    """`{base + hidden, mantissa}` plus the rounding increment, whose carry reaches the exponent.

    `base` is the exponent field, less one where the hidden bit is set. The exponent of the result
    is one bit longer.
    """
    up = named(m, f"{name}_up", guard & (mantissa[0] | sticky))
    rounded = named(m, f"{name}_mantissa", mantissa + up)
    exponent = join_exponent(m, base, hidden, rounded[-1], name=f"{name}_exponent")
    return named(m, f"{name}_code", Cat(rounded[:-1], exponent))


def join_exponent(m: Module, base: Value, hidden: Value, carry: Value, *, name: str) -> Signal:
    """`base + hidden + carry` in one adder, of which `carry` is the carry in."""
    return named(m, name, (Cat(carry, base) + Cat(carry, hidden))[1:])


def round_before_normalising(
    m: Module,
    out: FloatFormat,
    kept: Value,
    *,
    guard: Value,
    round_bit: Value = _NONE,
    sticky: Value,
    left: Value = _NONE,
) -> tuple[Signal, Signal]:
    """Mantissa and carry of `{kept, guard, round_bit, sticky}`, rounded once to nearest even.

    The leading bit is at one of three places, known before rounding::

                     kept: top | hidden | M mantissa bits
        top               | 1  |   x    | x ... x,  the lowest is the guard bit
        neither           | 0  |   1    | x ... x   |
        left              | 0  |   0    | 1 ... x   | guard

    One increment of `kept` serves all of them: rounding up the bit above its lowest matters only
    where that is set, and then carries; and rounding up `guard` carries only where that is set. So
    the increment need not wait for the shift. `carry`: the mantissa overflowed, and is zero.
    """
    width = out.man_bits
    top = kept[-1]
    below = named(m, "below", round_bit | sticky)
    in_place = guard & Mux(left, round_bit, kept[0] | below)
    up = named(m, "up", Mux(top, kept[0] & (kept[1] | guard | below), in_place))
    rounded = named(m, "rounded", kept + up)
    lowest = named(m, "lowest", guard ^ (round_bit & (guard | sticky)))
    shifted = Mux(rounded[width + 1], rounded[1 : width + 1], rounded[:width])
    mantissa = named(m, "rounded_mantissa", Mux(left, Cat(lowest, rounded[: width - 1]), shifted))
    carry = Mux(left, rounded[width], rounded[width + 2] | (rounded[width + 1] & ~top))
    return mantissa, named(m, "rounded_carry", carry)


def shift_steps(out: FloatFormat, zeros: int, smallest: int) -> int:
    """Stages of the shifter in `round_gradually`, which reaches 2^steps - 1 places.

    `zeros`: most leading zeros that are shifted out; `smallest`: as there. 2^steps zeros in front
    of a value must fill the hidden bit, the mantissa and the guard bit.
    """
    return max(zeros, out.man_bits + 1 if smallest < 0 else 0).bit_length()


def round_gradually(
    m: Module,
    out: FloatFormat,
    significand: Value,
    exponent: Value,
    *,
    smallest: int,
    largest: int,
    steps: int,
    normal: Value,
) -> Value:
    """`{exponent, mantissa}` of `significand`, rounded once to nearest even with gradual underflow.

    `exponent` is the signed exponent field, less one, that belongs to the top bit. Where it is
    negative the significand stands behind 2^steps zeros. Then one left shift by
    min(leading zeros, limit) serves both the normal and the subnormal numbers::

        exponent >= 0 | significand |        zeros       |        limit = exponent
        exponent <  0 | 2^steps zeros | significand, cut | sticky limit = exponent + 2^steps

    Parameters: `smallest`, `largest`: bounds of `exponent`; no logic for what they exclude.
    `steps`: of `shift_steps`; `exponent` has more bits. `normal`: no shift but the last is needed
    (where `exponent` is not negative): the others then stay quiet.
    """
    out_width = out.man_bits + 2  # hidden bit, mantissa, guard bit
    span = 1 << steps
    sticky: Value = Const(0, 1)
    below: Value = Const(0, 1)
    limit, unlimited = exponent[:steps], exponent[steps:].any()
    if smallest < 0:
        below = named(m, "below", exponent[-1])
        far = named(m, "far_below", below & ~exponent[steps:].all())
        limit = named(m, "limit", limit & (~far).replicate(steps))
        unlimited = ~below & unlimited
        padding = max(out_width + span - 1 - len(significand), 0)
        significand = Cat(Const(0, padding), significand)
        sticky = named(m, "below_sticky", below & significand[:span].any())
        significand = named(m, "placed", Mux(below, significand >> span, significand))
    elif smallest >= span - 1:  # no shift reaches the limit
        unlimited = Const(1, 1)
    kept, sticky, amount = normalise(
        m,
        significand,
        sticky,
        out_width=out_width,
        limit=limit,
        unlimited=named(m, "unlimited", unlimited),
        steps=steps,
        enable=named(m, "shifts", ~normal | below),
        always=1,
        isolate=smallest < 0,
        name="normal",
    )
    hidden = kept[-1]
    width = max(largest, 1).bit_length()
    valid = named(m, "base_valid", hidden & ~below)
    base = named(m, "base", (exponent - amount)[:width] & valid.replicate(width))
    return round_nearest_even(m, kept[1:-1], kept[0], sticky, base, hidden, name="rounded")


def is_nan(magnitude: Value, format: FloatFormat) -> Value:
    """Whether a code without its sign is a NaN."""
    exponent, mantissa = magnitude[format.man_bits :], magnitude[: format.man_bits]
    if format.specials is Specials.IEEE:
        return exponent.all() & mantissa.any()
    return magnitude.all()


def encode(
    m: Module,
    format: FloatFormat,
    *,
    sign: Value,
    code: Value,
    largest_exponent: int,
    zero: Value,
    infinity: Value,
    nan: Value,
) -> Value:
    """The code of a result from its rounded `{exponent, mantissa}`, which may exceed the format.

    A number beyond the format becomes infinity, or NaN where there is none. `infinity` and `nan`
    override it. `zero` clears the mantissa; the exponent is zero already. `largest_exponent` bounds
    the exponent: no logic for an overflow that cannot be.
    """
    mantissa, exponent = code[: format.man_bits], code[format.man_bits :]
    ones = (1 << format.exp_bits) - 1
    overflow: Value = Const(0, 1)
    if format.specials is Specials.IEEE:
        if largest_exponent >= ones:
            overflow = named(m, "overflow", exponent >= ones)
        top = named(m, "top", infinity | nan | overflow)
        clear = named(m, "clear", top | zero)
        mantissa = (mantissa & (~clear).replicate(format.man_bits)) | nan.shift_left(
            format.man_bits - 1
        )
    else:
        if largest_exponent >= ones:
            overflow = named(m, "overflow", code >= format.nan)
        top = nan = named(m, "top", infinity | nan | overflow)
        mantissa = (mantissa & (~zero).replicate(format.man_bits)) | top.replicate(format.man_bits)
    return Cat(mantissa, exponent[: format.exp_bits] | top.replicate(format.exp_bits), sign & ~nan)
