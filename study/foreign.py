"""A user's own module in Verilog or SystemVerilog in the place of a unit of the catalogue: mapped,
timed and simulated as ours, on the stimulus of the unit whose contract it has.

Ports keep their names: what is fed and what is expected goes by the contract's and is renamed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from ..hw.mac.mac import Mac
from ..support.errors import UserError
from ..support.words import Codes
from ..synth.mapping.elaborate import Design, elaborate
from ..units import Configuration, Declared, Workload, configured
from ..units.macs import INT_MAC
from ..units.models import Ports
from ..units.request import read
from ..units.workloads import WARM_UP_CYCLES, Source
from .rows import VerilogRow
from .systems import Entry

CLOCK = "clk"
RESETS = {"rst": 1, "rst_n": 0}
"""Names of a reset beside the contract's ports, with its active level."""

RESET_CYCLES = WARM_UP_CYCLES
"""Operations of zero times zero under reset before the others."""


@dataclass(frozen=True)
class Foreign(Configuration):
    """A module that computes what a configuration of the catalogue does, or (`checked` false) is
    only fed as it is.

    Members: `ports`: its port by the contract's; `constants`: by its other inputs.
    """

    design: Design
    ports: Mapping[str, str]
    constants: Mapping[str, int]
    latency: int
    checked: bool

    @property
    def contract(self) -> Configuration:
        """The configuration of the catalogue."""
        return Configuration(self.unit, self.options, self.structure)

    @property
    def slug(self) -> str:
        """Its own name."""
        return self.design.top

    @property
    def values(self) -> dict[str, Any]:
        """Of the contract's options, and of all else that decides a result."""
        own = {name: getattr(self, name) for name in ("ports", "constants", "latency", "checked")}
        return {**self.contract.values, **own, "rtlil": self.design.rtlil}

    @property
    def lane(self) -> Configuration:
        """The contract."""
        return self.contract

    @property
    def row(self) -> VerilogRow:
        """What a report tells of it."""
        return VerilogRow(
            top=self.design.top,
            contract=self.contract.slug,
            latency=self.latency,
            ports={**self.ports, **{name: str(level) for name, level in self.constants.items()}},
        )

    def declared(self) -> Declared:
        """What the user says of it: nothing of registers, and there are no stages."""
        return Declared(None, self.latency, self.ports[CLOCK], checked=self.checked)

    def rtlil(self) -> str:
        """The user's module."""
        return self.design.rtlil

    def holding(self) -> None:
        """It has one way to take operands."""

    def variants(self) -> list[Configuration]:
        """Itself: how it multiplies is its own."""
        return [self]

    def workload(self, source: Source) -> Workload:
        """The contract's, behind cycles of reset where there is one."""
        own = self.contract.workload(source)
        held = RESET_CYCLES if self._reset else 0
        inputs = {
            self.ports[port]: np.concatenate(
                [np.full(held, port in ("start", "load"), codes.dtype), codes]
            )
            for port, codes in own.inputs.items()
        }
        count = held + own.cycles
        for name, level in self.constants.items():
            inputs[name] = np.full(count, level, np.int64)
        for port in self._reset:
            active = np.arange(count) < held
            inputs[self.ports[port]] = np.where(active, RESETS[port], 1 - RESETS[port])
        starts = tuple(start + held for start in own.batches.starts)
        return Workload(inputs, replace(own.batches, starts=starts))

    def reference(self, inputs: Ports) -> dict[str, Codes]:
        """What the contract says of its outputs."""
        known = {port: inputs[own] for port, own in self.ports.items() if own in inputs}
        outputs = self.contract.reference(known)
        return {self.ports[port]: own for port, own in outputs.items() if port in self.ports}

    @property
    def _reset(self) -> list[str]:
        return [port for port in RESETS if port in self.ports]


def foreign_entry(
    label: str,
    files: Sequence[Path],
    top: str,
    ports: str,
    latency: int,
    contract: str | None,
    *,
    checked: bool = True,
) -> Entry:
    """A row of a report for the module `top` of Verilog or SystemVerilog files.

    ports: `w=x,a=y,start=clear,acc=sum`: the module's port for each of the contract's, for the
        clock `clk`, and for a reset `rst` or `rst_n`, which is active for some cycles at first;
        `en=1`: another input and what it is. What is left out has the contract's name.
    latency: clock cycles from operands to the sum, 1..8.
    contract: unit and options, as `mls_mac --format 2,4`: how operands are encoded and what comes
        out; None: two's complement of the ports' widths, and nothing is checked.
    checked: whether outputs are compared with golden's.
    Raises: UserError, in one line.
    """
    design = elaborate(files, top)
    given, constants = _read(ports, design)
    if not 1 <= latency <= WARM_UP_CYCLES:
        raise UserError(f"latency must be in 1..{WARM_UP_CYCLES}, not {latency}")
    unit = _contract(contract, design, given)
    wanted = _wanted(unit)
    if unknown := given.keys() - wanted.keys():
        rule = f"ports must be of {', '.join(wanted)}"
        raise UserError(f"{rule}, or other=0 for a constant, not {min(unknown)!r}")
    own = {port: given.get(port, port) for port in wanted}
    _check(design, wanted, own, constants)
    known = {port: name for port, name in own.items() if name in design.ports}
    if free := _inputs(design) - {*known.values(), *constants}:
        raise UserError(f"ports must say what {', '.join(sorted(free))} of {top} is, as en=1")
    checked = checked and contract is not None
    given_as = unit.unit, unit.options, unit.structure
    made = Foreign(*given_as, design, known, constants, latency, checked)
    return Entry(label if checked else f"{label}, not checked", unit.name, ready=made)


def _read(text: str, design: Design) -> tuple[dict[str, str], dict[str, int]]:
    """The module's ports by the contract's, and constants by the module's."""
    ports: dict[str, str] = {}
    constants: dict[str, int] = {}
    known = ", ".join(design.ports)
    for pair in filter(None, text.split(",")):
        port, equals, own = (word.strip() for word in pair.partition("="))
        if not (port and equals and own):
            raise UserError(f"ports must be pairs such as w=x,acc=sum,en=1, not {pair!r}")
        name = port if own.isdecimal() else own
        if name not in design.ports:
            raise UserError(f"ports must name ports of {design.top} ({known}), not {name!r}")
        if own.isdecimal():
            constants[port] = int(own)
        elif port in ports:
            raise UserError(f"ports must say once what {port} is, not {ports[port]!r} and {own!r}")
        else:
            ports[port] = own
    every = [*ports.values(), *constants]
    if twice := [name for name in every if every.count(name) > 1]:
        raise UserError(f"ports must name each port of {design.top} once, not {twice[0]!r} twice")
    return ports, constants


def _contract(line: str | None, design: Design, given: Mapping[str, str]) -> Configuration:
    """The unit that the module stands for; without one integers of the ports' widths."""
    try:
        if line is not None:
            unit = read(line).configuration()
        else:
            unit = configured(INT_MAC, _widths(design, given))
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, UserError) else UserError(f"contract: {error}") from None
    if not issubclass(unit.unit.component, Mac):
        raise UserError(f"contract must be a MAC, not {unit.name}")
    return unit


def _widths(design: Design, given: Mapping[str, str]) -> dict[str, Any]:
    """Options of an integer MAC with the module's ports."""
    widths = {}
    for port in ("w", "a", "acc"):
        name = given.get(port, port)
        if name not in design.ports:
            raise _missing(design, port)
        widths[port] = design.ports[name].width
    formats = {"format": str(widths["w"]), "a_format": str(widths["a"])}
    return {**formats, "acc_width": widths["acc"], "overflow": "wrap"}


def _missing(design: Design, port: str) -> UserError:
    return UserError(f"ports must say which port of {design.top} is {port}")


@dataclass(frozen=True)
class _Wanted:
    """A port of the contract."""

    direction: str
    width: int
    needed: bool = True


def _wanted(unit: Configuration) -> dict[str, _Wanted]:
    """The ports that a module with this contract may have."""
    component = unit.build()
    found = {
        name: _Wanted(
            "input" if member.flow is In else "output",
            Shape.cast(member.shape).width,
            name != "overflow",
        )
        for name, member in component.signature.members.items()
    }
    resets = {name: _Wanted("input", 1, needed=False) for name in RESETS}
    return {**found, CLOCK: _Wanted("input", 1), **resets}


def _check(
    design: Design,
    wanted: Mapping[str, _Wanted],
    own: Mapping[str, str],
    constants: Mapping[str, int],
) -> None:
    """Raise UserError where the module's ports do not fit the contract's."""
    for port, want in wanted.items():
        name = own[port]
        if name not in design.ports or name in constants:
            if want.needed:
                raise _missing(design, port)
            continue
        port_is = design.ports[name]
        if (port_is.direction, port_is.width) != (want.direction, want.width):
            raise UserError(
                f"port {name} of {design.top} must be an {want.direction} of {want.width} bits "
                f"to be {port}, not an {port_is.direction} of {port_is.width}"
            )
    for name, value in constants.items():
        port_is = design.ports[name]
        if port_is.direction != "input" or value >> port_is.width:
            raise UserError(
                f"{name}={value} must be of an input of {design.top} that holds it, "
                f"not an {port_is.direction} of {port_is.width} bits"
            )


def _inputs(design: Design) -> set[str]:
    return {name for name, port in design.ports.items() if port.direction == "input"}
