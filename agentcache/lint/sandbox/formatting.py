"""Text from a pattern: `%`, `str.format` and `strftime`, without widths that fill the memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from string import Formatter

from agentcache.lint.sandbox.meter import LONGEST_TEXT, Exhausted, Meter
from agentcache.lint.sandbox.texts import text_of
from agentcache.lint.sandbox.values import Expected, Moment

_WIDE = re.compile(r"\d{4}|\*")
_DIRECTIVE = re.compile(r"%(?:\(([^()%]{0,200})\))?([-+ #0]{0,5}(?:\d{0,9}|\*)(?:\.(?:\d{0,9}|\*))?)([a-zA-Z%])")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_SHORT = 3


def percent_format(pattern: str, values: object, meter: Meter) -> str:
    """Return `pattern % values`. Raises what Python raises for values that do not fit."""
    if any(_WIDE.search(found[2]) for found in _DIRECTIVE.finditer(pattern)):
        raise Exhausted("a width of more than three digits")
    weight = meter.weigh(values)
    meter.room(len(pattern) + pattern.count("%") * min(weight + 1_000, LONGEST_TEXT))
    return pattern % _printable(values, meter)


def _printable(values: object, meter: Meter) -> object:
    if isinstance(values, tuple):
        return tuple(_plain(value, meter) for value in values)
    if isinstance(values, dict):
        return {key: _plain(value, meter) for key, value in values.items()}
    return _plain(values, meter)


def _plain(value: object, meter: Meter) -> object:
    return value if isinstance(value, str | int | float) or value is None else text_of(value, meter)


class _Measured(Formatter):
    def __init__(self, meter: Meter, part: Callable[[object, str], object]) -> None:
        super().__init__()
        self._meter = meter
        self._part = part

    def get_field(
        self, field_name: str, args: object, kwargs: object
    ) -> tuple[object, str]:  # the arguments are named by the standard library
        self._meter.step()
        first, *rest = re.split(r"[.\[\]]+", field_name.rstrip("]"))
        key: int | str = int(first) if first.isdecimal() and len(first) < _SHORT else first
        value: object = self.get_value(key, args, kwargs)  # type: ignore[arg-type]  # as `vformat` was given them
        for name in rest:
            value = self._part(value, name)
        return value, first

    def format_field(self, value: object, format_spec: str) -> str:
        if _WIDE.search(format_spec):
            raise Exhausted("a width of more than three digits")
        if isinstance(value, Moment):
            return moment_text(value, format_spec, self._meter) if format_spec else text_of(value, self._meter)
        shown = value if isinstance(value, str | int | float) else text_of(value, self._meter)
        self._meter.room(self._meter.weigh(shown) + 1_000)
        return format(shown, format_spec)

    def convert_field(self, value: object, conversion: str | None) -> object:
        if conversion is None:
            return value
        shown = text_of([value], self._meter)[1:-1] if conversion == "r" else text_of(value, self._meter)
        return ascii(shown) if conversion == "a" else shown


def brace_format(
    pattern: str,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    meter: Meter,
    part: Callable[[object, str], object],
) -> str:
    """Return `pattern.format(*args, **kwargs)`; `part` gets attributes and items, as in the template itself."""
    meter.room(len(pattern))
    return _Measured(meter, part).vformat(pattern, args, dict(kwargs))


def moment_text(moment: Moment, pattern: str, meter: Meter) -> str:
    """Return `moment.strftime(pattern)` in English, whatever the locale of the process."""
    meter.room(len(pattern) * 12)
    at = moment.at
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    local = {
        "A": day,
        "a": day[:_SHORT],
        "B": month,
        "b": month[:_SHORT],
        "h": month[:_SHORT],
        "p": "AM" if at.hour < 12 else "PM",  # noon
        "c": f"{day[:_SHORT]} {month[:_SHORT]} {at.day:2} {at:%H:%M:%S} {at.year}",
        "x": f"{at:%m/%d/%y}",
        "X": f"{at:%H:%M:%S}",
    }
    return re.sub(r"%([-#]?)([A-Za-z%])", lambda found: local.get(found[2]) or _digits(at, found[1], found[2]), pattern)


def _digits(at: datetime, flag: str, directive: str) -> str:
    if directive not in "dHIjmMSUwWyYfzZFTDRGVu%s":
        return f"%{flag}{directive}"
    if directive == "s":
        return "0"
    text = at.strftime(f"%{directive}")
    return text.lstrip("0") or "0" if flag else text


def expected_text(name: str, args: tuple[object, ...], meter: Meter) -> Expected:
    """Return what an unknown function gives: the words that call it."""
    return Expected(f"{name}({', '.join(text_of(value, meter) for value in args)})")
