# amaranth: UnusedElaboratable=no
"""How a tile or dot unit meets its surroundings: bare wires, streams or AXI4-Stream."""

import enum
from dataclasses import dataclass

from ..golden.spec import choice
from ..hw.parts.component import Component
from ..hw.tile.axi_stream import AxiConvTile
from ..hw.tile.conv_tile import ConvTile
from .catalogue import Configuration

DEFAULT_RESULTS: int = ConvTile.parameters["results"].default


class Interface(enum.Enum):
    """Ports of a unit."""

    WIRES = "wires"
    """Its own: fixed latency, no stall, no reset. Every unit has it, only tiles and dot units
    the others."""
    STREAM = "stream"
    """ConvTile."""
    AXI = "axi"
    """AxiConvTile."""


_COMPONENTS: dict[Interface, type[Component]] = {
    Interface.STREAM: ConvTile,
    Interface.AXI: AxiConvTile,
}


@dataclass(frozen=True)
class StreamConfiguration(Configuration):
    """A configuration behind streams: builds the component that holds the tile or dot unit."""

    interface: Interface
    results: int

    @property
    def tile(self) -> Configuration:
        """The tile alone."""
        return Configuration(self.unit, self.options, self.structure)

    def build(self) -> Component:
        """A fresh component."""
        return _COMPONENTS[self.interface](tile=self.tile.build(), results=self.results)

    @property
    def slug(self) -> str:
        """The tile's, the interface, and the results where they are not the default."""
        results = "" if self.results == DEFAULT_RESULTS else f"r{self.results}"
        return "_".join(filter(None, [self.tile.slug, self.interface.value, results]))


def with_interface(
    configuration: Configuration, interface: Interface | str, results: int | None = None
) -> Configuration:
    """A unit's configuration behind an interface; None means the default.

    Raises: ValueError, TypeError, each naming the option, its value and the rule.
    """
    kind = choice("interface", Interface, interface)
    if kind is Interface.WIRES:
        if results is not None:
            raise ValueError(f"results must be given with streams only, not {results!r}")
        return configuration
    if not configuration.unit.has_streams:
        raise ValueError(f"interface must be wires for {configuration.name}, not {kind.value!r}")
    slots = DEFAULT_RESULTS if results is None else results
    wrapped = StreamConfiguration(
        configuration.unit, configuration.options, configuration.structure, kind, slots
    )
    wrapped.build()  # the component checks the rest
    return wrapped
