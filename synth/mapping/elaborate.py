"""Modules in Verilog or SystemVerilog as RTLIL, flat and ready to be mapped.

Verilog is read by Yosys itself, SystemVerilog by its slang frontend. What is no hardware (initial
values, assertions, `$display`) is left out, and so is where the text came from: equal modules have
equal RTLIL wherever their files lie.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...support.errors import UserError
from ...support.files import fill, scratch
from ...support.tools import ended
from .mapper import yosys
from .rtlil import parse

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_PORT = re.compile(r" *wire (?:width (\d+) )?.*?(input|output|inout) \d+ .*?\\(\S+)$")


@dataclass(frozen=True)
class Port:
    """A port of a module: `direction` is input or output, `width` in bits."""

    direction: str
    width: int


@dataclass(frozen=True)
class Design:
    """A flat module as RTLIL, and its ports by name."""

    top: str
    rtlil: str
    ports: Mapping[str, Port]


def elaborate(files: Sequence[Path], top: str) -> Design:
    """The module `top` of the files, with its default parameters. Files other than `.v` are
    SystemVerilog; then all are. Their folders are searched for what they include.

    Raises: UserError, naming file and line where Yosys does: no file, no such module, a syntax
    error, a module that is defined twice or not at all, a net that nothing drives, or several do,
    a latch, a combinational loop, what is no hardware, a port that is neither input nor output.
    """
    if not files:
        raise UserError(f"verilog must be the files of {top}, not none")
    if not _IDENTIFIER.fullmatch(top):
        raise UserError(f"top must be the name of a module, not {top!r}")
    for path in files:
        if not path.is_file():
            raise UserError(f"verilog must be files, but {str(path)!r} is none")
    with scratch() as directory:
        known = dict(_copied(directory, files))
        fill(directory, {"read.ys": "\n".join(_script(list(known), top)) + "\n"})
        done = yosys(directory, "read.ys")
        if said := _complaint(done):
            for copy, given in known.items():
                said = said.replace(copy, given)
            raise UserError(f"{top} cannot be mapped: {said}")
        text = (directory / "design.il").read_text()
    if found := _ASYNCHRONOUS.search(text):
        rule = "registers must have synchronous resets or none"
        raise UserError(f"{top} cannot be mapped: {rule}, not an asynchronous one ({found[1]})")
    return Design(top, text, dict(_ports(text, top)))


def _copied(directory: Path, files: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Copies of the files, under names without blanks, beside links to their folders."""
    for number, path in enumerate(files):
        (directory / f"i{number}").symlink_to(path.resolve().parent)
        (directory / f"f{number}").mkdir()
        copy = f"f{number}/{re.sub(r'[^A-Za-z0-9_.]', '_', path.name)}"
        fill(directory, {copy: path.read_bytes()})
        yield copy, str(path)


def _script(files: Sequence[str], top: str) -> list[str]:
    include = " ".join(f"-I i{number}" for number in range(len(files)))
    if all(file.endswith(".v") for file in files):
        read = [f"read_verilog {include} {file}" for file in files]
    else:
        read = [f"read_slang {include} --top {top} {' '.join(files)}"]
    return [
        *read,
        f"hierarchy -check -top {top}",
        "proc",
        "chformal -remove",
        "delete t:$print t:$check",
        "setattr -mod -unset keep_hierarchy",
        "flatten -noscopeinfo",
        "opt_clean",
        "check -assert",
        *(f"setattr -unset {attribute} w:* c:*" for attribute in ("src", "hdlname")),
        "setattr -mod -unset src",
        "rename -hide w:*",
        "rename -enumerate -pattern x% w:* c:*",
        "write_rtlil design.il",
    ]


_ASYNCHRONOUS = re.compile(r"^ *cell \$(\w*(?:adff|aldff|dffsr|_sr)\w*|sr) ", re.MULTILINE)
"""Registers that another signal than the clock changes: no unit of ours has any, and simulation of
netlists knows none.
"""

_LATCH = re.compile(r"^Warning: (Latch inferred for signal \S+) ", re.MULTILINE)
_PROBLEM = re.compile(r"^Warning: (.*(?:driver|loop).*?):?$((?:\n +.*)*)", re.MULTILINE)


def _complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The first error in what Yosys said, of a failed check the problem that it found, or a latch;
    empty where there is none.
    """
    if not done.returncode:
        latch = _LATCH.search(done.stdout)
        return latch[1] if latch else ""
    lines = (done.stderr + done.stdout).splitlines()
    first = next((line for line in lines if "ERROR" in line), ended(done.returncode))
    found = _PROBLEM.search(done.stdout)
    if "check -assert" not in first or not found:
        return re.sub(r"ERROR: ?", "", first).strip()
    return " ".join([found[1], *re.findall(r"^ +wire (\S+)", found[2], re.MULTILINE)])


def _ports(text: str, top: str) -> Iterator[tuple[str, Port]]:
    for line in parse(text)[f"\\{top}"].lines:
        if found := _PORT.match(line):
            width, direction, name = found.groups()
            if direction == "inout":
                raise UserError(f"port {name} of {top} must be input or output, not inout")
            if not _IDENTIFIER.fullmatch(name):
                raise UserError(f"port {name} of {top} must have a name without escapes")
            yield name, Port(direction, int(width or 1))
