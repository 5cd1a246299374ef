"""Units of integer training: range statistic, requantizer, random words."""

import numpy as np

from ..golden.integers import range_statistic, requantize
from ..golden.lfsr import lfsr_words
from ..golden.spec import INT8, IntFormat, Rounding
from ..hw.integer.range_statistic import RangeStatistic
from ..hw.integer.requantizer import Requantizer
from ..hw.mac.int_mac import IntMac
from ..hw.parts.lfsr import Lfsr
from ..support.words import Codes
from .catalogue import Unit
from .corners import integers
from .corners.general import drawn
from .macs import int_states, largest_int_product, last_int_bit
from .models import Ports
from .workloads import Inputs, Options, first, operations


def _range_statistic(inputs: Ports, *, format: IntFormat) -> dict[str, Codes]:
    trace = range_statistic(inputs["x"], inputs["start"].astype(bool), format)
    return {"max": trace.max, "min": trace.min, "range": trace.range}


def _requantizer(
    inputs: Ports,
    *,
    format: IntFormat,
    acc_width: int,
    rounding: Rounding,
    random_bits: int,
    lfsr_seed: int,
) -> dict[str, Codes]:
    acc = inputs["acc"] << (64 - acc_width) >> (64 - acc_width)  # its sign extended
    words = None
    if rounding is Rounding.STOCHASTIC:
        words = generated(inputs, lanes=1, random_bits=random_bits, lfsr_seed=lfsr_seed)["word"]
        words = words[:, 0]
    code, overflow = requantize(acc, inputs["shift"], words, format, random_bits=random_bits)
    return {"code": code, "overflow": overflow.astype(np.int64)}


def generated(inputs: Ports, *, lanes: int, random_bits: int, lfsr_seed: int) -> dict[str, Codes]:
    """The words in their order, from the first one at every start. The first step is one."""
    steps = np.arange(len(inputs["start"]))
    place = steps - np.maximum.accumulate(np.where(inputs["start"], steps, 0))
    count = int(place.max()) + 1
    words = lfsr_words(count, lanes=lanes, random_bits=random_bits, seed=lfsr_seed)
    return {"word": words[place]}


def _activations(mac: Inputs, options: Options) -> Inputs:
    return {"x": mac["a"], "start": mac["start"]}


def _group_sums(mac: Inputs, options: Options) -> Inputs:
    """The groups' sums, each shifted as far as brings the largest of them into the format; the
    generator starts once.
    """
    format: IntFormat = options["format"]
    integers = {
        "format": format,
        "a_format": format,
        "acc_width": options["acc_width"],
        **{name: IntMac.parameters[name].default for name in ("zero_points", "overflow")},
    }
    sums = int_states(mac, **integers)["acc"][np.append(mac["start"][1:], 1) > 0]
    largest = int(np.abs(sums).max()).bit_length()
    shift = np.full(len(sums), max(largest - format.width + 1, 0))
    inputs = {"acc": sums, "shift": shift}
    if options["rounding"] is Rounding.STOCHASTIC:
        inputs["start"] = first(len(sums))
    return inputs


def _one_start(mac: Inputs, options: Options) -> Inputs:
    return {"start": first(len(mac["start"]))}


ROWS = (
    Unit(
        name="range_statistic",
        description="Largest, smallest and range of a stream of integers",
        component=RangeStatistic,
        defaults={"format": INT8},
        model=_range_statistic,
        workload=operations(_activations),
    ),
    Unit(
        name="requantizer",
        description="Integer sums to operands: shift, stochastic rounding, saturation",
        component=Requantizer,
        defaults={"format": INT8},
        model=_requantizer,
        corners=drawn(integers.requantizer),
        workload=operations(_group_sums),
        largest_product=largest_int_product,
        last_bit=last_int_bit,
    ),
    Unit(
        name="lfsr",
        description="Random words from linear feedback shift registers, one a lane",
        component=Lfsr,
        defaults={"lanes": 16},
        model=generated,
        corners=drawn(integers.starts),
        workload=operations(_one_start),
    ),
)
