"""Operators, each with its result measured before it is made."""

from __future__ import annotations

from collections.abc import Callable

from agentcache.lint.sandbox.formatting import percent_format
from agentcache.lint.sandbox.meter import LARGEST_BITS, Exhausted, Meter
from agentcache.lint.sandbox.texts import text_of, truth
from agentcache.lint.sandbox.values import Expected, Moment, Unordered


def operated(operator: str, left: object, right: object, meter: Meter) -> object:
    """Return `left operator right` (`+ - * / // % **`). Raises `TypeError` or another of Python's where it has none."""
    if isinstance(left, Expected | Moment) or isinstance(right, Expected | Moment):
        if isinstance(left, str) and operator == "%":
            return percent_format(left, right, meter)
        return Expected(f"{text_of(left, meter)} {operator} {text_of(right, meter)}")
    if isinstance(left, int | float) and isinstance(right, int | float):
        return _number(operator, left, right)
    if operator == "*":
        return _repeated(left, right, meter)
    if operator == "%" and isinstance(left, str):
        return percent_format(left, right, meter)
    if operator == "+":
        return _joined(left, right, meter)
    if operator == "-" and isinstance(left, Unordered) and isinstance(right, Unordered):
        return Unordered([item for item in left.items if not contains(right, item, meter)])
    raise TypeError(operator)


def _number(operator: str, left: float, right: float) -> object:
    if isinstance(left, int) and isinstance(right, int):
        if operator == "**":
            return _power(left, right)
        if operator == "*" and left.bit_length() + right.bit_length() > LARGEST_BITS:
            raise Exhausted(f"a number of more than {LARGEST_BITS:,} bits")
    return _ARITHMETIC[operator](left, right)


def _power(base: int, exponent: int) -> object:
    if exponent > 0 and base.bit_length() * exponent > LARGEST_BITS:
        raise Exhausted(f"a number of more than {LARGEST_BITS:,} bits")
    result: object = base**exponent
    return result


def _to_the(base: float, exponent: float) -> object:
    result: object = base**exponent
    return result if isinstance(result, int | float) else Expected("complex")


_ARITHMETIC: dict[str, Callable[[float, float], object]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": _to_the,
}


def _repeated(left: object, right: object, meter: Meter) -> object:
    if isinstance(left, int):
        left, right = right, left
    if not isinstance(right, int) or not isinstance(left, str | list | tuple):
        raise TypeError("*")
    length = len(left) * max(right, 0)
    meter.room(length)
    if not isinstance(left, str):
        meter.step(length)
    return left * right


def _joined(left: object, right: object, meter: Meter) -> object:
    if isinstance(left, str) and isinstance(right, str):
        meter.room(len(left) + len(right))
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        meter.step(len(left) + len(right))
        return [*left, *right]
    if isinstance(left, tuple) and isinstance(right, tuple):
        meter.step(len(left) + len(right))
        return (*left, *right)
    raise TypeError("+")


def concatenated(values: list[object], meter: Meter) -> str:
    """Return what `~` makes of these."""
    texts = [text_of(value, meter) for value in values]
    meter.room(sum(map(len, texts)))
    return "".join(texts)


def compared(operator: str, left: object, right: object, meter: Meter) -> bool:
    """Return a comparison, by the operator's name in Jinja's syntax tree (`eq ne lt lteq gt gteq in notin`)."""
    if operator in {"in", "notin"}:
        return contains(right, left, meter) == (operator == "in")
    if operator in {"eq", "ne"}:
        return same(left, right, meter) == (operator == "eq")
    meter.weigh(left, right)
    if isinstance(left, Expected | Moment) or isinstance(right, Expected | Moment):
        return _ORDER[operator](text_of(left, meter), text_of(right, meter))
    return _ORDER[operator](left, right)


def _less(left: object, right: object) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left < right
    if isinstance(left, list) and isinstance(right, list):
        return left < right
    if isinstance(left, tuple) and isinstance(right, tuple):
        return left < right
    raise TypeError("<")


_ORDER: dict[str, Callable[[object, object], bool]] = {
    "lt": _less,
    "gt": lambda a, b: _less(b, a),
    "lteq": lambda a, b: not _less(b, a),
    "gteq": lambda a, b: not _less(a, b),
}


def same(left: object, right: object, meter: Meter) -> bool:
    """Tell whether two values are equal; what is only expected equals what has its text."""
    meter.weigh(left, right)
    if isinstance(left, Expected | Moment) and isinstance(right, Expected | Moment | str):
        return text_of(left, meter) == text_of(right, meter)
    if isinstance(right, Expected | Moment) and isinstance(left, str):
        return left == text_of(right, meter)
    if isinstance(left, Unordered) and isinstance(right, Unordered):
        return len(left.items) == len(right.items) and all(contains(right, item, meter) for item in left.items)
    return left == right


def contains(container: object, item: object, meter: Meter) -> bool:
    """Tell whether `item in container`."""
    if isinstance(container, Expected):
        return truth(container)
    if isinstance(container, str):
        if isinstance(item, Expected):
            return item.text in container
        if not isinstance(item, str):
            raise TypeError("in")
        meter.weigh(container, item)
        return item in container
    if isinstance(container, dict):
        meter.weigh(item)
        return isinstance(item, str | int | float | tuple | None) and item in container
    items = container.items if isinstance(container, Unordered) else container
    if not isinstance(items, list | tuple):
        raise TypeError("in")
    return any(same(item, other, meter) for other in items)
