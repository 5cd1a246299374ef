"""RTLIL modules as text: taken apart, and written with names that say nothing of where they come
from. Pure functions of text.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

_BLOCKS = ("module", "cell", "process", "switch")
"""What `end` ends."""

WIRE = "w#"
"""What begins the name of a wire that has a number for a name; in no name of Amaranth's."""

_NAME = re.compile(r"[\\$][^\s\]]+")
_WIRE = re.compile(r"^ *wire (?:.* )?([\\$]\S+)(?: .*)?$")
_PORT = re.compile(r" (?:input|output|inout) (\d+) ")


@dataclass(frozen=True)
class Module:
    """A module's text: `attributes` and `lines` between `module` and `end`."""

    name: str
    attributes: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """RTLIL."""
        return f"{self.attributes}module {self.name}\n" + "\n".join(self.lines) + "\nend\n"

    def instances(self) -> Iterator[tuple[str, str]]:
        """Kind and name of every cell."""
        for line in self.lines:
            words = line.split()
            if words[0] == "cell":
                yield words[1], words[2]

    def wires(self) -> list[str]:
        """Names of the wires."""
        return [wire[1] for line in self.lines if (wire := _WIRE.match(line))]

    @cached_property
    def ports(self) -> list[str]:
        """Names of the ports by number."""
        return [name for name, _ in self._port_lines]

    def stub(self, name: str) -> "Module":
        """A black box of that name with the ports, which are called by their numbers."""
        lines = [
            line.replace(port, numbered_port(number))
            for number, (port, line) in enumerate(self._port_lines)
        ]
        return Module(name, "attribute \\blackbox 1\n", tuple(lines))

    @cached_property
    def _port_lines(self) -> list[tuple[str, str]]:
        """Names and lines of the ports by number; every instance asks for them."""
        found = {}
        for line in self.lines:
            wire, port = _WIRE.match(line), _PORT.search(line)
            if wire and port:
                found[int(port[1])] = wire[1], line
        return [found[number] for number in sorted(found)]


def numbered_port(number: int) -> str:
    """What a black box calls its port."""
    return f"\\p{number}"


def parse(rtlil: str) -> dict[str, Module]:
    """The modules of a text by name."""
    modules: dict[str, Module] = {}
    before: list[str] = []  # attributes of the module to come
    lines: list[str] = []
    depth = 0
    for line in filter(str.strip, rtlil.splitlines()):
        words = line.split()
        depth += (words[0] in _BLOCKS) - (words[0] == "end")
        if words[0] == "module":
            name = words[1]
        elif words[0] == "end" and depth == 0:
            attributes = "".join(f"{attribute}\n" for attribute in before)
            modules[name] = Module(name, attributes, tuple(lines))
            before, lines = [], []
        else:
            (lines if depth else before).append(line)
    return modules


@dataclass(frozen=True)
class Renaming:
    """What a module is called, by its old name, and each of its ports, by their old names."""

    name: str
    ports: Mapping[str, str] = field(default_factory=dict)


def renamed(
    module: Module, name: str, below: Mapping[str, Renaming], first: int = 0
) -> tuple[Module, dict[str, str]]:
    """The module called `name`, its wires `w#<number>` as they come, from `first` on, generated
    cells likewise; and the new names of its wires by their old ones. `below`: new names of what it
    instantiates.

    Instances keep their names, and public names stay public: to Yosys they are not alike.
    """
    wires = {
        wire: f"{wire[0]}{WIRE}{number}" for number, wire in enumerate(module.wires(), start=first)
    }
    lines: list[str] = []
    ports: Mapping[str, str] | None = None  # of the cell that the line is in
    generated = 0
    for line in module.lines:
        words = line.split(maxsplit=2)
        if words[0] in ("cell", "process"):
            called = words[-1].strip()
            if called.startswith("$"):
                called = f"$c{generated}"
                generated += 1
            kind = below.get(words[1], Renaming(words[1])) if words[0] == "cell" else None
            line = " ".join(["  cell", kind.name, called] if kind else ["  process", called])
            ports = kind.ports if kind else None
        elif words[0] == "end":
            ports = None
        elif ports is not None and words[0] == "connect":
            port = ports.get(words[1], words[1])
            line = f"    connect {port} {_numbered(words[2], wires)}"
        elif words[0] in ("wire", "connect", "assign", "switch", "sync", "update"):
            line = _numbered(line, wires)
        lines.append(line)
    return Module(name, module.attributes, tuple(lines)), wires


def _numbered(text: str, names: Mapping[str, str]) -> str:
    return _NAME.sub(lambda name: names.get(name[0], name[0]), text)
