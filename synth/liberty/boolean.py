"""Boolean expressions of Liberty files: `function`, `when`, `next_state`, `clocked_on`.

One small tree serves the power engine (truth tables) and whoever writes cell models (`verilog`).
"""

import enum
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

Bits: TypeAlias = np.ndarray | np.bool_
"""A column of a truth table, or one bit."""


class Op(enum.Enum):
    """What a node of an expression is; the value is its operator in Verilog."""

    CONSTANT = "constant"
    PIN = "pin"
    NOT = "~"
    AND = "&"
    OR = "|"
    XOR = "^"


@dataclass(frozen=True)
class Expr:
    """A node: operands in `args`; a pin's name or a constant's "0"/"1" in `name`."""

    op: Op
    args: tuple["Expr", ...] = ()
    name: str = ""

    @cached_property
    def pins(self) -> frozenset[str]:
        """Names of all pins in the expression."""
        if self.op is Op.PIN:
            return frozenset({self.name})
        return frozenset().union(*(arg.pins for arg in self.args))

    def evaluate(self, values: Mapping[str, Bits]) -> Bits:
        """Value under an assignment of the pins, row by row. Raises: KeyError for a missing pin."""
        if self.op is Op.CONSTANT:
            return np.bool_(self.name == "1")
        if self.op is Op.PIN:
            return values[self.name]
        return _APPLY[self.op](*(arg.evaluate(values) for arg in self.args))

    def difference(self, pin: str, values: Mapping[str, Bits]) -> Bits:
        """Boolean difference f(pin=1) ^ f(pin=0): true in the rows where the pin decides."""
        one, zero = ({**values, pin: np.bool_(bit)} for bit in (True, False))
        return self.evaluate(one) ^ self.evaluate(zero)

    def verilog(self) -> str:
        """The expression in Verilog operators, fully parenthesised."""
        if self.op is Op.CONSTANT:
            return f"1'b{self.name}"
        if self.op is Op.PIN:
            return self.name
        if self.op is Op.NOT:
            return f"~{self.args[0].verilog()}"
        return f"({f' {self.op.value} '.join(arg.verilog() for arg in self.args)})"


_APPLY: dict[Op, Callable[..., Bits]] = {
    Op.NOT: np.logical_not,
    Op.AND: np.logical_and,
    Op.OR: np.logical_or,
    Op.XOR: np.logical_xor,
}


def truth_table(pins: Sequence[str]) -> dict[str, np.ndarray]:
    """All 2^n assignments: row r of a pin's column is bit `pins.index(pin)` of r."""
    rows = np.arange(1 << len(pins))
    return {pin: (rows >> i & 1).astype(bool) for i, pin in enumerate(pins)}


_TOKEN = re.compile(r"\s*([A-Za-z_][\w\[\].]*|[01]|[!'&*|+^()])")
_OTHER_WORDS = {"&&": "&", "||": "|", "~": "!"}
_BINARY: tuple[tuple[Op, str], ...] = ((Op.OR, "|+"), (Op.AND, "&*"), (Op.XOR, "^"))


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Expr:
    """Expression of a Liberty string.

    Operators from the tightest: `!x`, `~x` and `x'` (not), `^`, `&` `&&` `*` or nothing (and), `|`
    `||` `+` (or).
    Raises: ValueError, with the text.
    """
    tokens: list[str] = []
    at, clean = 0, text.strip().strip('"').strip()
    for other, own in _OTHER_WORDS.items():
        clean = clean.replace(other, own)
    while at < len(clean):
        match = _TOKEN.match(clean, at)
        if not match:
            raise ValueError(f"expression must be Boolean, not {text!r}")
        tokens.append(match[1])
        at = match.end()
    parser = _Parser(tokens)
    try:
        expr = parser.binary(0)
    except ValueError:
        expr = None
    if expr is None or parser.peek():
        raise ValueError(f"expression must be Boolean, not {text!r}")
    return expr


class _Parser:
    """Recursive descent; `binary(level)` climbs `_BINARY` from the loosest operator."""

    def __init__(self, tokens: list[str]) -> None:
        self._rest = tokens[::-1]

    def peek(self) -> str:
        """The next token, empty at the end."""
        return self._rest[-1] if self._rest else ""

    def _take(self) -> str:
        return self._rest.pop() if self._rest else ""

    def binary(self, level: int) -> Expr:
        """An expression of operators at least as tight as the level's."""
        if level == len(_BINARY):
            return self._unary()
        op, symbols = _BINARY[level]
        left = self.binary(level + 1)
        while self.peek() and (self.peek() in symbols or (op is Op.AND and self._starts_operand())):
            if self.peek() in symbols:
                self._take()
            left = Expr(op, (left, self.binary(level + 1)))
        return left

    def _starts_operand(self) -> bool:
        return self.peek() in "!(01" or _is_name(self.peek())

    def _unary(self) -> Expr:
        token = self._take()
        if token == "!":
            return Expr(Op.NOT, (self._unary(),))
        if token == "(":
            expr = self.binary(0)
            if self._take() != ")":
                raise ValueError(token)
        elif token in ("0", "1"):
            expr = Expr(Op.CONSTANT, name=token)
        elif _is_name(token):
            expr = Expr(Op.PIN, name=token)
        else:
            raise ValueError(token)
        while self.peek() == "'":
            self._take()
            expr = Expr(Op.NOT, (expr,))
        return expr


def _is_name(token: str) -> bool:
    return token[:1].isalpha() or token[:1] == "_"
