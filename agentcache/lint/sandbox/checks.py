"""Jinja's tests: what `is` asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from agentcache.lint.sandbox.meter import Meter
from agentcache.lint.sandbox.operators import compared, same
from agentcache.lint.sandbox.texts import truth
from agentcache.lint.sandbox.values import Cycler, Expected, Function, Joiner, Unordered

Test: TypeAlias = Callable[[object, tuple[object, ...], Meter], bool]


def _comparing(operator: str) -> Test:
    return lambda value, args, meter: compared(operator, value, args[0], meter)


def _of(*kinds: type) -> Test:
    return lambda value, args, meter: isinstance(value, kinds)


def _whole(value: object) -> int:
    if isinstance(value, int):
        return value
    raise TypeError("whole number")


def _is_defined(value: object, args: tuple[object, ...], meter: Meter) -> bool:
    return not (isinstance(value, Expected) and value.missing)


TESTS: dict[str, Test] = {
    "defined": _is_defined,
    "undefined": lambda value, args, meter: not _is_defined(value, args, meter),
    "none": lambda value, args, meter: value is None,
    "boolean": _of(bool),
    "true": lambda value, args, meter: value is True,
    "false": lambda value, args, meter: value is False,
    "string": lambda value, args, meter: isinstance(value, str) or (isinstance(value, Expected) and truth(value)),
    "number": _of(int, float),
    "integer": lambda value, args, meter: isinstance(value, int) and not isinstance(value, bool),
    "float": _of(float),
    "mapping": _of(dict),
    "sequence": _of(str, list, tuple, dict, Unordered),
    "iterable": lambda value, args, meter: isinstance(value, str | list | tuple | dict | Unordered | Expected),
    "callable": lambda value, args, meter: isinstance(value, Function | Cycler | Joiner),
    "escaped": lambda value, args, meter: False,
    "filter": lambda value, args, meter: True,
    "test": lambda value, args, meter: True,
    "odd": lambda value, args, meter: _whole(value) % 2 == 1,
    "even": lambda value, args, meter: _whole(value) % 2 == 0,
    "divisibleby": lambda value, args, meter: _whole(value) % _whole(args[0]) == 0,
    "lower": lambda value, args, meter: isinstance(value, str) and value.islower(),
    "upper": lambda value, args, meter: isinstance(value, str) and value.isupper(),
    "sameas": lambda value, args, meter: value is args[0],
    "in": _comparing("in"),
    "eq": lambda value, args, meter: same(value, args[0], meter),
    "equalto": lambda value, args, meter: same(value, args[0], meter),
    "==": lambda value, args, meter: same(value, args[0], meter),
    "ne": lambda value, args, meter: not same(value, args[0], meter),
    "!=": lambda value, args, meter: not same(value, args[0], meter),
    **dict.fromkeys(("lt", "lessthan", "<"), _comparing("lt")),
    **dict.fromkeys(("gt", "greaterthan", ">"), _comparing("gt")),
    **dict.fromkeys(("le", "<="), _comparing("lteq")),
    **dict.fromkeys(("ge", ">="), _comparing("gteq")),
}
