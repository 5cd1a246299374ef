"""How golden's MACs appear at the ports of a unit."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..golden.dots import loads
from ..golden.mac import MacTrace
from ..support.words import Codes

Ports = Mapping[str, Codes]
Model = Callable[..., dict[str, Codes]]


def states(trace: MacTrace) -> dict[str, Codes]:
    """Outputs of an accumulator at every step."""
    outputs = {"acc": trace.acc}
    if trace.overflow is not None:
        outputs["overflow"] = trace.overflow.astype(np.int64)
    return outputs


def held(model: Model) -> Model:
    """Outputs of a unit whose weights are, with the option `hold`, those of the latest `load`."""

    def outputs(inputs: Ports, *, hold: bool = False, **options: Any) -> dict[str, Codes]:
        if hold:
            latest = loads(inputs["load"].astype(bool))
            inputs = {
                port: codes[latest] if port[0] == "w" else codes for port, codes in inputs.items()
            }
        return model(inputs, **options)

    return outputs


def mac(model: Callable[..., MacTrace]) -> Model:
    """Outputs of a MAC by its golden model, both of whose operands have the option `format`."""

    def outputs(inputs: Ports, *, format: Any, **options: Any) -> dict[str, Codes]:
        start = inputs["start"].astype(bool)
        return states(model(inputs["w"], inputs["a"], start, format, **options))

    return outputs
