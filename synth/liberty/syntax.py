"""The syntax of Liberty: text to groups and back, in whatever dialect characterizers write it.

Read are: compressed files whatever their names, any byte order mark, comments anywhere, lines
continued with a backslash, also within strings, `;` after a group or missing after an attribute.
Written is one plain form of it, for tools that read less.
Source: Liberty User Guide.
"""

import bz2
import codecs
import gzip
import lzma
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from .cells import LibertyError


@dataclass(slots=True)
class Group:
    """`kind (args) { ... }`: simple attributes (`key : value`), complex ones (`key (args)`) and
    groups, each in the file's order; texts as they stand, with their quotes.
    """

    kind: str
    args: tuple[str, ...]
    values: dict[str, str] = field(default_factory=dict)
    lists: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    groups: list["Group"] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The first argument, empty where there is none."""
        return unquote(self.args[0]) if self.args else ""

    @property
    def names(self) -> list[str]:
        """All arguments: a `pin` group may describe several."""
        return [name for arg in self.args for name in unquote(arg).replace(",", " ").split()]

    def of(self, *kinds: str) -> Iterator["Group"]:
        """The groups of some kinds within."""
        return (group for group in self.groups if group.kind in kinds)

    def get(self, key: str) -> str | None:
        """Value of a simple attribute, None where there is none."""
        value = self.values.get(key)
        return None if value is None else unquote(value)

    def is_set(self, key: str) -> bool:
        """Whether an attribute is there and not false."""
        return (self.get(key) or "false").lower() not in ("false", "0")

    def arguments(self, key: str) -> tuple[str, ...] | None:
        """Arguments of a complex attribute, the last of its name; None where there is none."""
        return next((args for name, args in reversed(self.lists) if name == key), None)


def unquote(text: str) -> str:
    return text.strip().strip('"').strip()


def number(what: str, text: str) -> float:
    """The value of `what`. Raises: LibertyError unless it is a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise LibertyError(f"{what} must be a number, not {text!r}")
    return value


_COMPRESSED: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
}
_MARKS: Mapping[bytes, str] = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def decoded(data: bytes, name: str) -> str:
    """The text of a file's bytes, plain or compressed. Raises: LibertyError, with the file's
    `name`.
    """
    for magic, decompress in _COMPRESSED.items():
        if data.startswith(magic):
            try:
                data = decompress(data)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                raise LibertyError(f"{name} must be a whole compressed file: {error}") from None
    encoding = next((code for mark, code in _MARKS.items() if data.startswith(mark)), "utf-8")
    # Comments and names of authors may be in any encoding; what is read of a library is ASCII.
    text = data.decode(encoding, errors="replace")
    return re.sub(r"\r\n?", "\n", text) if "\r" in text else text


# A continued line becomes a vertical tab: a blank that ends no statement, and still a line when
# lines are counted. `://` is no comment, but an address without quotes.
_CONTINUED = "\v"
_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*+("|\Z)|/\*.*?(\*/|\Z)|(?<!:)//[^\n]*|\\[ \t]*(?:\n|\Z)', re.DOTALL
)
_ESCAPE = re.compile(r"\\(?:[ \t]*(\n)|(.))", re.DOTALL)


def cleaned(text: str, name: str) -> str:
    """The text less comments and backslashes, with as many lines. Raises: LibertyError."""

    def clean(token: re.Match[str]) -> str:
        whole = token[0]
        if token[1] == "" or token[2] == "":
            what = "string" if whole[0] == '"' else "comment"
            line = text.count("\n", 0, token.start()) + 1
            raise _bad_syntax(name, line, f"the {what} that begins here must end: is it cut off?")
        if whole[0] == '"':
            return _ESCAPE.sub(_unescaped, whole) if "\\" in whole else whole
        return _CONTINUED if whole[0] == "\\" else " " + "\n" * whole.count("\n")

    return _TOKEN.sub(clean, text)


def _unescaped(escape: re.Match[str]) -> str:
    return _CONTINUED if escape[1] else escape[2].strip('"')


# Possessive, since the text may be anything: nothing is tried twice.
_STATEMENT = re.compile(
    r"""[\s;]*+ (?: (?P<end>\}) | (?P<name>[^\s:;(){}",]++) [^\S\n]*+ (?:
        :\s*+ (?P<value>(?:"[^"]*"|[^;{}"\n])*+)
        | \s*+\( (?P<args>(?:"[^"]*"|[^()"]++|\([^()]*\))*+) \) \s*+ (?P<open>\{)?
        | \s*+ (?P<bare>\{) ) )""",
    re.VERBOSE,
)
_ARGUMENT = re.compile(r'"[^"]*"|[^\s,"]+')
_BLANK = re.compile(r"[\s;]*")


def parse(text: str, name: str) -> list[Group]:
    """The library groups of a cleaned text. Raises: LibertyError, with the file's `name` and the
    line.
    """
    top = Group("", ())
    stack, at = [top], 0
    end = len(text.rstrip(" \t\n\v\f;"))
    while at < end:
        found = _STATEMENT.match(text, at)
        if not found or (found["end"] and len(stack) == 1):
            if len(stack) > 1 and text[end - 1] != "}":
                break
            raise _wrong(text, at, name, len(stack) == 1)
        at, inside = found.end(), stack[-1]
        if found["end"]:
            stack.pop()
        elif found["value"] is not None:
            inside.values.setdefault(found["name"], found["value"].strip())
        else:
            args = tuple(_ARGUMENT.findall(found["args"] or ""))
            if found["open"] or found["bare"]:
                group = Group(found["name"], args)
                inside.groups.append(group)
                stack.append(group)
            else:
                inside.lists.append((found["name"], args))
        if len(stack) == 1 and (top.values or top.lists or top.groups[-1].kind != "library"):
            raise _wrong(text, found.start(), name, True)
    if len(stack) > 1:
        raise LibertyError(f"{name} must end with the library's closing brace: is it cut off?")
    return top.groups


def _wrong(text: str, at: int, name: str, is_top: bool) -> LibertyError:
    blank = _BLANK.match(text, at)
    start = blank.end() if blank else at
    line = 1 + sum(text.count(mark, 0, start) for mark in ("\n", _CONTINUED))
    found = text[start : start + 40].split("\n")[0].strip()
    rule = "only library groups may stand here" if is_top else "an attribute or a group must stand"
    return _bad_syntax(name, line, f"{rule}, not {found!r}")


def _bad_syntax(name: str, line: int, rule: str) -> LibertyError:
    return LibertyError(f"{name} must be a Liberty file: line {line}: {rule}")


_PLAIN = re.compile(r"[\w.+-]+")
# ABC's reader takes braces, semicolons and comment marks for what they are outside strings; only
# words about a library have them.
_BLANKS = str.maketrans(dict.fromkeys("\n\v\t{};/", " "))


def written(group: Group, names: Mapping[str, str] = {}) -> Iterator[str]:
    """A group's text in parts: strings on one line, all in quotes that is no plain word.

    `names` renames the templates that tables refer to.
    """
    is_table = any(key == "values" for key, _ in group.lists)
    args = [names.get(unquote(arg), arg) for arg in group.args] if is_table else group.args
    yield f"{group.kind} ({', '.join(map(_quoted, args))}) {{\n"
    for key, value in group.values.items():
        yield f"{key} : {_quoted(value)};\n"
    for key, values in group.lists:
        yield f"{key} ({', '.join(map(_quoted, values))});\n"
    for inner in group.groups:
        yield from written(inner, names)
    yield "}\n"


def _quoted(text: str) -> str:
    if text[:1] == '"' == text[-1:] and text.count('"') == 2:
        return text.translate(_BLANKS)
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace('"', "").translate(_BLANKS) + '"'
