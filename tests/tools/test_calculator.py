"""The calculator: exact where numbers can be, refusing in words, and never slow."""

from __future__ import annotations

import ast
import math
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache import ToolFailed
from agentcache.tools import calculator
from agentcache.tools.arithmetic import evaluate


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("0.1 + 0.2", "0.3"),
        ("1_000 * 1.5", "1500"),
        ("7 // 2 - 7 % -2", "4"),
        ("-7 // 2", "-4"),
        ("2 ** -3", "0.125"),
        ("-0.05", "-0.05"),
        ("10 ** 30 + 1", "1000000000000000000000000000001"),
        ("1 / 3", "0.33333333333333333333 (rounded)"),
        ("1 / 3 * 3", "1"),
        ("sqrt(2) ** 2", "2 (rounded)"),
        ("sqrt(2.25)", "1.5"),
        ("sqrt(2) ** 2 - 2", "0 (rounded)"),
        ("27 ** (1 / 3)", "3 (rounded)"),
        ("0 ** 10 ** 100 + 0 ** 0", "1"),
        ("(-1) ** (10 ** 100 + 1)", "-1"),
        ("1 ** -(10 ** 100)", "1"),
        ("log(1000, 10) + log2(1/8) + log10(0.01)", "-2"),
        ("ln(e)", "1 (rounded)"),
        ("exp(1)", "2.7182818284590452354 (rounded)"),
        ("pi", "3.1415926535897932385 (rounded)"),
        ("round(2.675, 2) + round(1250, -2)", "1202.68"),
        ("max(1, 2.5, 2) + min(4, 3) + abs(-1)", "6.5"),
        ("floor(-2.5) + ceil(2.1)", "0"),
        ("factorial(20)", str(math.factorial(20))),
        ("comb(52, 5)", "2598960"),
        ("gcd(12, 18) + lcm(4, 6, 10)", "66"),
        ("0x1F + 0b11", "34"),
        ("1e50 / 3", "3.3333333333333333333E+49 (rounded)"),
        (" ( 1 + 2 ) ", "3"),
    ],
)
def test_an_expression_has_the_value_that_people_expect(expression, value):
    assert evaluate(expression) == value


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "1 to 1000 characters"),
        ("1 +", "is no arithmetic expression"),
        ("1 / 0", "division by zero"),
        ("5 % (1 - 1)", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("1 / (exp(ln(3)) - 3)", "division by zero"),
        ("1,000", "write 1000 for 1,000"),
        ("2 ^ 3", "a power is written 2 ** 10"),
        ("sqrt(-1)", "no real value"),
        ("(-8) ** (1 / 3)", "no real value"),
        ("log(0)", "positive number"),
        ("log(5, 1)", "not 1"),
        ("sin(1)", "'sin' is not a known function; there are abs, ceil"),
        ("x + 1", "'x' is not a known constant; there are e, pi"),
        ("True + 1", "'True' is no number"),
        ("1j", "'1j' is no number"),
        ("'a' * 3", "is no number"),
        ("1 < 2", "is no arithmetic"),
        ("factorial(2.5)", "whole numbers only"),
        ("factorial(sqrt(2))", "whole numbers only"),
        ("comb(-1, 2)", "whole numbers from 0"),
        ("log(1, 2, 3)", "log takes 1 to 2 arguments, not 3"),
        ("abs()", "abs takes 1 argument, not 0"),
        ("max(*[1])", "is no arithmetic"),
        ("round(1, digits=2)", "is no arithmetic"),
    ],
)
def test_what_has_no_value_is_refused_in_words(expression, words):
    with pytest.raises(ToolFailed, match=re.escape(words)):
        evaluate(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "9 ** 9 ** 9",
        "9 ** -(9 ** 9)",
        "(1 / 3) ** 10 ** 9",
        "1e999999999",
        "1e-999999999",
        "10 ** 3000 * 10 ** 3000",
        "exp(10 ** 9)",
        "exp(-(10 ** 9))",
        "2.5 ** 123456.7",
        "factorial(10 ** 9)",
        "comb(10 ** 9, 5 * 10 ** 8)",
        "round(1, 10 ** 9)",
        "(" * 400 + "1" + ")" * 400,
        "-" * 900 + "1",
        "sqrt(" * 150 + "2" + ")" * 150,
        "1+" * 600 + "1",
        "lcm(" + ",".join(f"9**{3000 - i}+{i}" for i in range(80)) + ")",
    ],
)
def test_what_would_take_for_ever_is_refused_at_once(expression):
    with pytest.raises(ToolFailed):
        evaluate(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "().__class__.__bases__[0]",
        "(lambda: 1)()",
        "[x for x in (1, 2)]",
        "abs.__globals__",
        "(x := 5)",
        "f'{1}'",
        "abs(1 if 1 else 2)",
        "\0",
        "1\udc80",
    ],
)
def test_code_is_never_run(expression):
    with pytest.raises(ToolFailed):
        evaluate(expression)


def test_a_long_sum_is_not_a_deep_one():
    assert evaluate("+".join(["1"] * 450)) == "450"


numbers = st.one_of(
    st.integers(0, 10**6).map(str),
    st.decimals(min_value=0, max_value=10**6, places=3).map(str),
)
expressions = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(lambda t: f"({' '.join(t)})"),
        inner.map(lambda text: f"(-{text})"),
        st.tuples(inner, st.integers(-4, 4)).map(lambda t: f"({t[0]} ** {t[1]})"),
    ),
    max_leaves=12,
)


class _Exact(ast.NodeTransformer):
    """Makes a fraction of every literal, from the text that it was written as."""

    def __init__(self, text: str) -> None:
        self._text = text

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        literal = ast.get_source_segment(self._text, node)
        return ast.parse(f"Fraction('{literal}')", mode="eval").body


def as_fraction(text: str) -> Fraction | None:
    """Let Python work the expression out; `None` where it has no value."""
    tree = ast.fix_missing_locations(_Exact(text).visit(ast.parse(text, mode="eval")))
    try:
        return Fraction(eval(compile(tree, "expression", "eval"), {"Fraction": Fraction}))
    except ZeroDivisionError:
        return None


def value_or_refusal(text: str) -> tuple[str | None, str]:
    try:
        return evaluate(text), ""
    except ToolFailed as error:
        return None, str(error)


@given(expressions)
def test_it_agrees_with_pythons_fractions(text):
    value = as_fraction(text)
    shown, refusal = value_or_refusal(text)
    if shown is None:
        assert value is None or "too large" in refusal
        return
    assert value is not None
    digits, _, rounded = shown.partition(" ")
    if rounded:
        assert abs(Fraction(digits) - value) <= abs(value) * Fraction(1, 10**19)
    else:
        assert Fraction(digits) == value


@given(st.one_of(st.text(max_size=60), st.text(alphabet="0123456789.+-*/%() ,eE_xjsqrtlogmaxpi^", max_size=60)))
def test_nothing_but_a_refusal_comes_out_of_any_text(text):
    assert any(value_or_refusal(text))


async def test_the_tool_answers_in_text_and_may_be_kept():
    result = await calculator.call({"expression": "0.1 + 0.2"})
    assert (result.content, result.is_error) == ("0.3", False)
    assert calculator.deterministic
    refused = await calculator.call({"expression": "9 ** 9 ** 9"})
    assert refused.is_error
    assert "too large" in refused.content
