"""The modules of a unit, each distinct one once, and the parts that are mapped apart.

Amaranth writes a module an instance, the names in it numbered by what was written before. Pure
functions of text.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...support.attributes import SAME_AS
from .rtlil import WIRE, Module, Renaming, numbered_port, parse, renamed

WORTHWHILE = 64
"""Cells, those of its submodules included, from which on a module that is used several times is
optimised once instead of with each of its surroundings.
"""

PART = "part"
"""What the module to be mapped is called in a part's text."""

_OUTLINE = re.compile(rf'^ *attribute \\{SAME_AS} "(.*)"$')
_NUMBER = re.compile(rf"(?:.*\.)?{WIRE}(\d+)(?:\[\d+\])?")
"""The name of a net that has a number instead of a name of the unit's; no generated name."""


@dataclass(frozen=True)
class Part:
    """What is mapped apart: the module `name` of a unit, what it instantiates of other parts as
    black boxes, and the rest of it as modules.

    `text` (RTLIL, module `PART`) says nothing of the unit around it: equal parts of several units
    have equal texts. `wires` are the unit's names by number; `boxes` the parts by black box, whose
    `ports` are by number.
    """

    name: str
    text: str
    wires: tuple[str, ...]
    ports: tuple[str, ...]
    boxes: Mapping[str, "Part"]

    def named(self, module: dict[str, Any]) -> dict[str, Any]:
        """Yosys's JSON of the mapped module, with the unit's names instead of numbers. Of equal
        names a port keeps its own, then a wire of the unit's; a generated one, like n7, gives way.
        """

        def rank(net: str) -> tuple[bool, bool]:
            return net not in module["ports"], _NUMBER.fullmatch(net) is None

        names: dict[str, str] = {}
        taken: set[str] = set()
        for net in sorted(module["netnames"], key=rank):
            called = self._called(net)
            while called in taken:
                called += "_"
            taken.add(called)
            names[net] = called
        return {
            "ports": {names[port]: value for port, value in module["ports"].items()},
            "cells": {name: self._cell(cell) for name, cell in module["cells"].items()},
            "netnames": {names[net]: value for net, value in module["netnames"].items()},
        }

    def _called(self, net: str) -> str:
        found = _NUMBER.fullmatch(net)
        if not found:
            return net
        start, end = found.span(1)
        return net[: start - len(WIRE)] + self.wires[int(found[1])] + net[end:]

    def _cell(self, cell: dict[str, Any]) -> dict[str, Any]:
        if cell["type"] not in self.boxes:
            return {"type": cell["type"], "connections": cell["connections"]}
        box = self.boxes[cell["type"]]
        connections = {
            port: cell["connections"].get(numbered_port(number)[1:], [])
            for number, port in enumerate(box.ports)
        }
        return {"type": box.name, "connections": connections}


def parts(rtlil: str, top: str, stages: Iterable[frozenset[str]]) -> list[Part]:
    """What is mapped apart of the module `top`, itself last, each after what it instantiates.

    Apart are: every submodule of a module that has all the submodules of one of `stages`, and what
    is used several times and worth it. Raises: ValueError where there is no module `top`.
    """
    modules, name = parse(rtlil), f"\\{top}"
    if name not in modules:
        raise ValueError(f"the design must have a module {top}")
    distinct = merge(modules, name)
    apart = _apart(distinct, stages) | {name}
    made: dict[str, Part] = {}
    for kind in distinct:  # submodules first
        if kind in apart:
            made[kind] = _part(distinct, kind, made)
    return list(made.values())


def _part(modules: Mapping[str, Module], top: str, made: Mapping[str, Part]) -> Part:
    """The module `top` as a part, given the parts below it."""
    below: dict[str, Renaming] = {}
    boxes: dict[str, Part] = {}
    texts: list[Module] = []
    wires: list[str] = []
    for kind in _bottom_up(modules, top, made):
        module = modules[kind]
        if kind in made:
            name = f"\\box{len(boxes)}"
            boxes[name[1:]] = made[kind]
            texts.append(module.stub(name))
            ports = {port: numbered_port(place) for place, port in enumerate(module.ports)}
        else:
            name = f"\\{PART}" if kind == top else f"\\m{len(texts)}"
            text, new = renamed(module, name, below, len(wires))
            texts.append(replace(text, attributes=""))
            wires += (old[1:] for old in new)
            ports = new
        below[kind] = Renaming(name, ports)
    own = tuple(port[1:] for port in modules[top].ports)
    return Part(top[1:], "\n".join(m.text for m in texts), tuple(wires), own, boxes)


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
        form = renamed(module, "", {})[0].text
        chosen[name] = forms.setdefault(form, name)
        if chosen[name] == name:
            merged[name] = module
    return merged


def _apart(modules: Mapping[str, Module], stages: Iterable[frozenset[str]]) -> set[str]:
    """Names of the modules that are optimised apart; `modules` with submodules first."""
    used = Counter(kind for module in modules.values() for kind, _ in module.instances())
    sizes: dict[str, int] = {}
    for name, module in modules.items():
        sizes[name] = sum(sizes.get(kind, 1) for kind, _ in module.instances())
    apart = {name for name in modules if used[name] > 1 and sizes[name] >= WORTHWHILE}
    for module in modules.values():
        own = {called[1:]: kind for kind, called in module.instances() if kind in modules}
        if any(stage <= own.keys() for stage in stages):
            apart.update(own.values())
    return apart


def _bottom_up(
    modules: Mapping[str, Module], top: str, closed: Mapping[str, Any] = {}
) -> Iterator[str]:
    """Names of the modules below `top`, each after all that it instantiates; nothing below those
    in `closed`.
    """
    seen: set[str] = set()

    def visit(name: str) -> Iterator[str]:
        if name not in seen:
            seen.add(name)
            for kind, _ in modules[name].instances() if name not in closed else ():
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
            before, after = modules[words[1]].ports, merged[chosen[words[1]]].ports
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
