"""What a unit must have for streams to fit around it."""

from .component import Component

_MARKS = ("load", "start", "last", "first", "finish")


class Stepped(Component):
    """A unit that takes a step a cycle, and tells each output `latency` cycles after the step that
    completes it. It never stalls and has no reset: the first step defines the state.

    A step is operands with marks. Steps up to one with `last` are a group (without that port each
    step is one), groups from `first` to `finish` an output. `ConvTile` derives `start` and `first`,
    and feeds idle steps: `idle_operands`, no marks.

    Members
    -------
    w, a: In, operand codes of each lane.
    w_scale, a_scale: In, scale codes, with `last` (`w_scale` with `load`, where there is one); some
        units.
    load: In, the step brings weights, which else stay; some units.
    start, last: In, the step begins, ends a group; where groups have several steps.
    first, finish: In, with `last`: the group begins, ends an output.
    tensor_scale: In, 32 bits, constant while outputs are under way; some units.
    z: Out, 32 bits, float32 code of an output.
    valid: Out, `z` is new.
    overflow: Out, flag of `z`; some units.
    """

    interval = property(lambda self: 1, doc="Least cycles between steps with `last`.")
    idle_operands = property(lambda self: (0, 0), doc="Codes (w, a) of an idle lane or cycle.")

    @property
    def idle(self) -> dict[str, int]:
        """Inputs with which an output under way stays what it is."""
        marks = [port for port in _MARKS if port in self.signature.members]
        return {**dict(zip("wa", self.idle_operands, strict=True)), **dict.fromkeys(marks, 0)}

    reads_marks_at_last = property(
        lambda self: False, doc="Whether `first` and `finish` say nothing where `last` is 0."
    )
