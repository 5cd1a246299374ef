"""Boolean expressions of Liberty files against Python's own operators."""

import itertools

import numpy as np
import pytest

from mlsmac.synth.liberty.boolean import parse, truth_table

# Liberty text, and the same in Python over bools named as the pins.
CASES = {
    "A": lambda A: A,
    "!A": lambda A: not A,
    "A'": lambda A: not A,
    "A''": lambda A: A,
    "!A'": lambda A: A,
    "1": lambda: True,
    "0 + A": lambda A: A,
    "(A B)": lambda A, B: A and B,
    "A & B | C": lambda A, B, C: (A and B) or C,
    "C + A * B": lambda A, B, C: (A and B) or C,
    "A ^ B C": lambda A, B, C: (A != B) and C,
    "A + B ^ C": lambda A, B, C: A or (B != C),
    "A^B^C": lambda A, B, C: (A + B + C) % 2 == 1,
    "(!((S A) + (!S B)))": lambda A, B, S: not (A if S else B),
    "A' B + !C": lambda A, B, C: (not A and B) or not C,
    '"(A1&A2) | (B1[0])"': None,
}


@pytest.mark.parametrize("text", [text for text, meaning in CASES.items() if meaning])
def test_value_in_every_row(text):
    expr = parse(text)
    pins = sorted(expr.pins)
    table = truth_table(pins)
    got = np.broadcast_to(expr.evaluate(table), 1 << len(pins))
    for row, bits in enumerate(itertools.product((False, True), repeat=len(pins))):
        values = dict(zip(reversed(pins), bits, strict=True))  # pin 0 is the row's lowest bit
        assert all(table[pin][row] == values[pin] for pin in pins)
        assert got[row] == CASES[text](**values)


def test_quotes_and_indices():
    assert parse('"(A1&A2) | (B1[0])"').pins == {"A1", "A2", "B1[0]"}


def test_difference_is_true_where_the_pin_decides():
    table = truth_table(["A", "B", "C"])
    got = parse("A B + C").difference("A", table)
    np.testing.assert_array_equal(got, table["B"] & ~table["C"])


def test_verilog():
    assert parse("(!((S A) + (!S B)))").verilog() == "~((S & A) | (~S & B))"
    assert parse("A ^ 1").verilog() == "(A ^ 1'b1)"


@pytest.mark.parametrize("text", ["", "A +", "(A", "A)", "A !", "A - B", "+ A", "'A"])
def test_refuses_what_is_no_expression(text):
    with pytest.raises(ValueError, match="expression must be Boolean, not"):
        parse(text)
