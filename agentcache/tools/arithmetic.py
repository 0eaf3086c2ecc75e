"""Arithmetic on the text of an expression: exact where numbers can be, the same digits on every machine. Pure.

The text is parsed by Python and never run: each node of the tree is one of a few known ones or is refused. Numbers are
fractions, so 0.1 + 0.2 is 0.3; what no fraction can be (a root, a logarithm) is worked out to 50 digits in decimal
arithmetic, not by the machine's floating point, and marked as rounded. Every number in between is bounded, and the
size of a power is judged before it is worked out, so that no expression takes long.
"""

from __future__ import annotations

import ast
import decimal
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

from agentcache.errors import ToolFailed

_T = TypeVar("_T")

MAX_CHARS = 1_000
MAX_DEPTH = 100
MAX_BITS = 10_000
"""Of a numerator or denominator: about 3,000 digits."""
MAX_EXACT_DIGITS = 60
"""A fraction whose decimals end within these many digits is written out whole."""
SHOWN_DIGITS = 20
"""Significant digits of what is rounded."""

_PRECISION = 50
_NOISE = Fraction(1, 10**40)
_MAX_EXPONENT = 3_000
_MAX_FACTORIAL = 1_000
_MAX_COMB = 5_000
_NUMBER = re.compile(r"[0-9._eE+-]+")

_DECIMAL = decimal.Context(
    prec=_PRECISION,
    Emax=_MAX_EXPONENT,
    Emin=-_MAX_EXPONENT,
    rounding=decimal.ROUND_HALF_EVEN,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow, decimal.Underflow],
)


@dataclass(frozen=True, slots=True)
class _Number:
    value: Fraction
    exact: bool = True


_CONSTANTS = {
    "pi": _Number(Fraction("3.14159265358979323846264338327950288419716939937510"), exact=False),
    "e": _Number(Fraction("2.71828182845904523536028747135266249775724709369995"), exact=False),
}


def evaluate(expression: str) -> str:
    """Return the value of an expression as text, with ` (rounded)` behind it where it is not exact.

    Raises `ToolFailed`, and nothing else, for what is no arithmetic, has no value, or is too large.
    """
    text = expression.strip()
    if not text or len(text) > MAX_CHARS:
        raise ToolFailed(f"give an expression of 1 to {MAX_CHARS} characters")
    return _written(_Evaluation(text).value(_parsed(text), MAX_DEPTH))


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        # Python's own words differ from version to version, and these stay in a prompt.
        advice = "use numbers, operators, functions and matching parentheses"
        raise ToolFailed(f"{_shown(text)} is no arithmetic expression; {advice}") from error


class _Evaluation:
    """Works out the tree of one expression; its text says how a number was written."""

    def __init__(self, text: str) -> None:
        self._text = text

    def value(self, node: ast.expr, levels: int) -> _Number:
        if levels <= 0:
            raise ToolFailed(f"the expression is nested more than {MAX_DEPTH} deep; work out parts of it first")
        match node:
            case ast.Constant():
                return self._literal(node)
            case ast.Name(id=name):
                return _named(_CONSTANTS, name, "constant")
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                number = self.value(operand, levels - 1)
                return _Number(-number.value, number.exact) if isinstance(sign, ast.USub) else number
            case ast.BinOp():
                return self._chain(node, levels - 1)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                function = _named(_FUNCTIONS, name, "function")
                return _bounded(_called(name, function, [self.value(item, levels - 1) for item in arguments]))
            case ast.Tuple():
                raise ToolFailed("a comma belongs between arguments only; write 1000 for 1,000 and 0.5 for 0,5")
            case _:
                raise ToolFailed(f"{_shown(self._source(node))} is no arithmetic; use numbers, operators and functions")

    def _chain(self, node: ast.BinOp, levels: int) -> _Number:
        """Work out operators from left to right, so that a long sum is not a deep one."""
        steps: list[ast.BinOp] = []
        first: ast.expr = node
        while isinstance(first, ast.BinOp):
            steps.append(first)
            first = first.left
        number = self.value(first, levels)
        for step in reversed(steps):
            number = _bounded(_combined(step.op, number, self.value(step.right, levels)))
        return number

    def _literal(self, node: ast.Constant) -> _Number:
        if type(node.value) is int:
            return _bounded(_Number(Fraction(node.value)))
        text = self._source(node)
        if type(node.value) is not float or not _NUMBER.fullmatch(text):
            raise ToolFailed(f"{_shown(text)} is no number")
        try:
            number = Decimal(text, _DECIMAL)
        except decimal.InvalidOperation as error:  # an exponent of a million digits
            raise ToolFailed(f"{_shown(text)} is too large or too small a number") from error
        if abs(number.adjusted()) > _MAX_EXPONENT:
            raise ToolFailed(f"{_shown(text)} is too large or too small a number")
        return _bounded(_Number(Fraction(number)))

    def _source(self, node: ast.expr) -> str:
        return ast.get_source_segment(self._text, node) or type(node).__name__


def _combined(sign: ast.operator, left: _Number, right: _Number) -> _Number:
    if isinstance(sign, ast.Pow):
        return _power(left, right)
    function = _OPERATORS.get(type(sign))
    if function is None:
        hint = "; a power is written 2 ** 10" if isinstance(sign, ast.BitXor) else ""
        raise ToolFailed(f"the operator {type(sign).__name__} is not known; use + - * / // % **{hint}")
    if right.value == 0 and not isinstance(sign, ast.Add | ast.Sub | ast.Mult):
        raise ToolFailed("division by zero")
    result = _Number(Fraction(function(left.value, right.value)), left.exact and right.exact)
    return _without_noise(result, left, right) if isinstance(sign, ast.Add | ast.Sub) else result


def _without_noise(result: _Number, left: _Number, right: _Number) -> _Number:
    """Return 0 for what is left of rounded numbers that cancel out: it is made of their rounding."""
    is_noise = abs(result.value) < max(abs(left.value), abs(right.value)) * _NOISE
    return _Number(Fraction(0), exact=False) if is_noise and not result.exact else result


_OPERATORS: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction | int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def _power(left: _Number, right: _Number) -> _Number:
    number, exponent = left.value, right.value
    if number == 0 and exponent < 0:
        raise ToolFailed("division by zero: a negative power of 0")
    if exponent.denominator == 1:
        return _Number(_whole_power(number, exponent.numerator), left.exact and right.exact)
    if exponent == Fraction(1, 2):
        return _sqrt([left])
    if number < 0:
        raise ToolFailed("a negative number to a power that is no whole number has no real value")
    return _rounded(lambda: _DECIMAL.power(_decimal(number), _decimal(exponent)))


def _whole_power(number: Fraction, exponent: int) -> Fraction:
    if number in {0, 1, -1}:  # their powers are small whatever the exponent is
        return Fraction(number ** (exponent if number == 0 and exponent == 0 else 1 + (exponent + 1) % 2))
    # A number of n bits to the power of k has at least (n - 1) * k bits.
    if (_bits(number) - 1) * abs(exponent) > MAX_BITS:
        raise _too_large()
    return Fraction(number**exponent)


def _called(name: str, function: Callable[[Sequence[_Number]], _Number], arguments: Sequence[_Number]) -> _Number:
    least, most = _ARGUMENTS.get(name, (1, 1))
    if not least <= len(arguments) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise ToolFailed(f"{name} takes {wanted} argument{'' if wanted == '1' else 's'}, not {len(arguments)}")
    return function(arguments)


def _chosen(choose: Callable[[Sequence[Fraction]], Fraction]) -> Callable[[Sequence[_Number]], _Number]:
    return lambda numbers: _Number(choose([item.value for item in numbers]), all(item.exact for item in numbers))


def _whole(
    name: str, function: Callable[[Sequence[int]], int], limit: int | None = None
) -> Callable[[Sequence[_Number]], _Number]:
    def call(numbers: Sequence[_Number]) -> _Number:
        if any(not item.exact or item.value.denominator != 1 for item in numbers):
            raise ToolFailed(f"{name} takes whole numbers only")
        integers = [item.value.numerator for item in numbers]
        if limit is not None and not all(0 <= item <= limit for item in integers):
            raise ToolFailed(f"{name} takes whole numbers from 0 to {limit}")
        return _Number(Fraction(function(integers)))

    return call


def _lcm(items: Sequence[int]) -> int:
    multiple = 1
    for item in items:
        multiple = math.lcm(multiple, item)
        if multiple.bit_length() > MAX_BITS:
            raise _too_large()
    return multiple


def _sqrt(numbers: Sequence[_Number]) -> _Number:
    [number] = numbers
    if number.value < 0:
        raise ToolFailed("the square root of a negative number has no real value")
    root = Fraction(math.isqrt(number.value.numerator), math.isqrt(number.value.denominator))
    if root * root == number.value:
        return _Number(root, number.exact)
    return _rounded(lambda: _DECIMAL.sqrt(_decimal(number.value)))


def _log(numbers: Sequence[_Number]) -> _Number:
    value, base = (item.value for item in (*numbers, _CONSTANTS["e"])[:2])
    if value <= 0 or base <= 0 or base == 1:
        raise ToolFailed("a logarithm is of a positive number, to a positive base that is not 1")
    if value == 1:
        return _Number(Fraction(0), numbers[0].exact)
    if len(numbers) == 1:
        return _rounded(lambda: _DECIMAL.ln(_decimal(value)))
    result = _rounded(lambda: _DECIMAL.divide(_DECIMAL.ln(_decimal(value)), _DECIMAL.ln(_decimal(base))))
    return _whole_log(result, value, base) if all(item.exact for item in numbers) else result


def _whole_log(result: _Number, value: Fraction, base: Fraction) -> _Number:
    """Return the exact logarithm where it is a whole number, such as that of 1000 to 10."""
    nearest = round(result.value)
    if (_bits(base) - 1) * abs(nearest) <= MAX_BITS and base**nearest == value:
        return _Number(Fraction(nearest))
    return result


def _round(numbers: Sequence[_Number]) -> _Number:
    number, places = numbers[0], numbers[1].value if len(numbers) > 1 else Fraction(0)
    if places.denominator != 1 or abs(places) > _MAX_EXPONENT:
        raise ToolFailed(f"round takes a whole number of digits, at most {_MAX_EXPONENT}")
    return _Number(Fraction(round(number.value, places.numerator)), number.exact)


def _to_base(base: int) -> Callable[[Sequence[_Number]], _Number]:
    return lambda numbers: _log([*numbers, _Number(Fraction(base))])


_MANY = (1, MAX_CHARS)
_ARGUMENTS = {"comb": (2, 2), "gcd": _MANY, "lcm": _MANY, "log": (1, 2), "max": _MANY, "min": _MANY, "round": (1, 2)}
_FUNCTIONS: Mapping[str, Callable[[Sequence[_Number]], _Number]] = {
    "abs": _chosen(lambda numbers: abs(numbers[0])),
    "ceil": _chosen(lambda numbers: Fraction(math.ceil(numbers[0]))),
    "comb": _whole("comb", lambda items: math.comb(items[0], items[1]), _MAX_COMB),
    "exp": lambda numbers: _rounded(lambda: _DECIMAL.exp(_decimal(numbers[0].value))),
    "factorial": _whole("factorial", lambda items: math.factorial(items[0]), _MAX_FACTORIAL),
    "floor": _chosen(lambda numbers: Fraction(math.floor(numbers[0]))),
    "gcd": _whole("gcd", lambda items: math.gcd(*items)),
    "lcm": _whole("lcm", _lcm),
    "ln": _log,
    "log": _log,
    "log10": _to_base(10),
    "log2": _to_base(2),
    "max": _chosen(max),
    "min": _chosen(min),
    "round": _round,
    "sqrt": _sqrt,
}


def _named(known: Mapping[str, _T], name: str, kind: str) -> _T:
    if name not in known:
        raise ToolFailed(f"{_shown(name)} is not a known {kind}; there are {', '.join(sorted(known))}")
    return known[name]


def _rounded(work: Callable[[], Decimal]) -> _Number:
    try:
        return _Number(Fraction(work()), exact=False)
    except (decimal.DecimalException, OverflowError) as error:
        raise _too_large() from error


def _decimal(value: Fraction) -> Decimal:
    return _DECIMAL.divide(Decimal(value.numerator), Decimal(value.denominator))


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _bounded(number: _Number) -> _Number:
    if _bits(number.value) > MAX_BITS:
        raise _too_large()
    return number


def _too_large() -> ToolFailed:
    return ToolFailed("a number in the expression grows too large or too small (about 3,000 digits are the most)")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def _written(number: _Number) -> str:
    value = number.value
    if number.exact and value.denominator == 1:
        return str(value.numerator)
    places = _places(value.denominator)
    if number.exact and places is not None and places <= MAX_EXACT_DIGITS:
        return _fixed(value, places)
    shown = decimal.Context(prec=SHOWN_DIGITS, rounding=decimal.ROUND_HALF_EVEN)
    rounded = shown.divide(Decimal(value.numerator), Decimal(value.denominator))
    text = f"{rounded:f}" if -SHOWN_DIGITS <= rounded.adjusted() <= SHOWN_DIGITS else f"{rounded:E}"
    return f"{_without_zeros(text)} (rounded)"


def _places(denominator: int) -> int | None:
    """Return how many decimals a fraction has, `None` when they never end."""
    twos = (denominator & -denominator).bit_length() - 1
    fives, rest = 0, denominator >> twos
    while rest % 5 == 0:
        fives, rest = fives + 1, rest // 5
    return max(twos, fives) if rest == 1 else None


def _fixed(value: Fraction, places: int) -> str:
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _without_zeros(text: str) -> str:
    mantissa, mark, exponent = text.partition("E")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}{mark}{exponent}"
