"""RTLIL modules as text: merge those that are equal but for their names, so that each is mapped
once.

Amaranth writes a module an instance, the names in it numbered by what was written before. Pure
functions of text.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ...support.attributes import SAME_AS

WORTHWHILE = 64
"""Cells, those of its submodules included, from which on a module that is used several times is
optimised once instead of with each of its surroundings.
"""

_BLOCKS = ("module", "cell", "process", "switch")
"""What `end` ends."""

_NAME = re.compile(r"[\\$][^\s\]]+")
_NUMBERED = re.compile(r"\\port\$(\d+)\$")
"""A port that Amaranth named by the number of the cell that drives it."""
_OUTLINE = re.compile(rf'^ *attribute \\{SAME_AS} "(.*)"$')
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


def merge(modules: Mapping[str, Module], top: str) -> dict[str, Module]:
    """The modules below `top`, each distinct one once, submodules first.

    Equal are those whose cells, wires and connections are in the same order and differ in the names
    of wires, ports and generated cells alone. Instance names count. An outline equals the module
    that it names.
    """
    merged: dict[str, Module] = {}
    chosen: dict[str, str] = {}  # a module's name to the one that stands for it
    forms: dict[str, str] = {}
    for name in _bottom_up(modules, top):
        if like := _outlined(modules[name]):
            chosen[name] = chosen[like]
            continue
        module = _retarget(modules[name], modules, merged, chosen)
        form = _canonical(module, merged)
        chosen[name] = forms.setdefault(form, name)
        if chosen[name] == name:
            merged[name] = module
    return merged


def distinct_modules(rtlil: str, top: str, stages: Iterable[frozenset[str]]) -> str:
    """RTLIL of what is below the module `top`, equal modules merged, with the attribute
    `keep_hierarchy` on those that are optimised apart: every submodule of a module that has all
    the submodules of one of `stages`, and what is used several times and worth it.

    Ports that are named by numbers are numbered as they come: how many cells the modules had that
    are gone does not matter. Without a module `top`: the text as it is.
    """
    modules, name = parse(rtlil), f"\\{top}"
    if name not in modules:
        return rtlil
    distinct = merge(modules, name)
    kept = _kept(distinct, stages)
    mark = "attribute \\keep_hierarchy 1\n"
    # In the order of the text, which Yosys's results depend on.
    ordered = [distinct[name] for name in modules if name in distinct]
    text = "\n".join(
        replace(module, attributes=mark + module.attributes).text
        if module.name in kept
        else module.text
        for module in ordered
    )
    numbers: dict[str, int] = {}
    return _NUMBERED.sub(lambda port: f"\\port${numbers.setdefault(port[1], len(numbers))}$", text)


def _kept(modules: Mapping[str, Module], stages: Iterable[frozenset[str]]) -> set[str]:
    """Names of the modules that are optimised apart; `modules` with submodules first."""
    used = Counter(kind for module in modules.values() for kind, _ in module.instances())
    sizes: dict[str, int] = {}
    for name, module in modules.items():
        sizes[name] = sum(sizes.get(kind, 1) for kind, _ in module.instances())
    kept = {name for name in modules if used[name] > 1 and sizes[name] >= WORTHWHILE}
    for module in modules.values():
        own = {called[1:]: kind for kind, called in module.instances() if kind in modules}
        if any(stage <= own.keys() for stage in stages):
            kept.update(own.values())
    return kept


def _bottom_up(modules: Mapping[str, Module], top: str) -> Iterator[str]:
    """Names of the modules below `top`, each after all that it instantiates."""
    seen: set[str] = set()

    def visit(name: str) -> Iterator[str]:
        if name not in seen:
            seen.add(name)
            for kind, _ in modules[name].instances():
                if kind in modules:
                    yield from visit(kind)
            yield name

    return visit(top)


def _outlined(module: Module) -> str | None:
    """Name of the module that an outline stands for; None for any other module."""
    for line in module.lines:
        if found := _OUTLINE.match(line):
            return f"{module.name.rpartition('.')[0]}.{found[1]}"
    return None


def _ports(module: Module) -> list[str]:
    """Port names by number."""
    found = {}
    for line in module.lines:
        wire, port = _WIRE.match(line), _PORT.search(line)
        if wire and port:
            found[int(port[1])] = wire[1]
    return [found[number] for number in sorted(found)]


def _retarget(
    module: Module,
    modules: Mapping[str, Module],
    merged: Mapping[str, Module],
    chosen: Mapping[str, str],
) -> Module:
    """Instances refer to the merged modules and their ports, in the order of the ports."""
    lines: list[str] = []
    connections: list[tuple[int, str]] | None = None
    for line in module.lines:
        words = line.split(maxsplit=2)
        if words[0] == "cell" and words[1] in modules:
            before, after = _ports(modules[words[1]]), _ports(merged[chosen[words[1]]])
            line = f"  cell {chosen[words[1]]} {words[2]}"
            connections = []
        elif connections is not None and words[0] == "connect":
            place = before.index(words[1])
            connections.append((place, f"    connect {after[place]} {words[2]}"))
            continue
        elif connections is not None and words[0] == "end":
            lines += [text for _, text in sorted(connections)]
            connections = None
        lines.append(line)
    return replace(module, lines=tuple(lines))


def _canonical(module: Module, merged: Mapping[str, Module]) -> str:
    """The module with its wires and generated cells numbered as they come."""
    numbers: dict[str, str] = {}
    for line in module.lines:
        if wire := _WIRE.match(line):
            numbers[wire[1]] = f"%{len(numbers)}"
    lines = []
    inside = False  # a cell, whose parameters and ports have names of their own
    for line in module.lines:
        words = line.split(maxsplit=2)
        if words[0] == "cell":
            inside = True
            line = f"cell {words[1]} {words[2] if words[2][0] != '$' else '%'}"
        elif words[0] == "end":
            inside = False
        elif inside and words[0] == "connect":
            line = f"connect {words[1]} {_numbered(words[2], numbers)}"
        elif words[0] in ("wire", "connect", "assign", "switch", "sync", "update"):
            line = _numbered(line, numbers)
        lines.append(line)
    return "\n".join(lines)


def _numbered(text: str, numbers: Mapping[str, str]) -> str:
    return _NAME.sub(lambda name: numbers.get(name[0], name[0]), text)
