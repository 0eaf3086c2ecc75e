"""The values that a template is rendered with: an author's examples, varied, and what stands in for all else.

A varied example differs at every leaf; whatever a text then shows otherwise depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from agentcache.lint.sandbox.filters import Args
from agentcache.lint.sandbox.meter import Exhausted, Meter
from agentcache.lint.sandbox.sequences import items_of
from agentcache.lint.sandbox.texts import text_of
from agentcache.lint.sandbox.values import Cycler, Expected, Function, Joiner, Moment, Namespace, Unordered
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.sections import Stability

_DAY = datetime(2026, 3, 9, 14, 5, 7)  # an example; a zone would show in its text
_ADDRESS = "0x7f00"  # where an object might lie


def varied(value: JsonValue, *, other: bool) -> object:
    """Return an example value as a template gets it, a copy; with `other` one that shows otherwise at every leaf."""
    if isinstance(value, dict):
        return {key: varied(one, other=other) for key, one in value.items()}
    if isinstance(value, list):
        items = [varied(one, other=other) for one in value]
        return [*items, items[-1]] if other and items else items
    if not other:
        return value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return f"{value}~" if isinstance(value, str) else value


def typed(name: str, kind: str | None, value: JsonValue, *, other: bool) -> object:
    """Return the example value of a variable of a type (`[types]` of agent.toml); without one, what stands for it."""
    if kind == "object":
        return Expected(f"<{name} object at {_ADDRESS}>", name=name, fields=_fields(value, other=other))
    if kind == "list[object]":
        examples: list[JsonValue] = value if isinstance(value, list) and value else [None, None]
        return [
            Expected(f"<{name} object at {_ADDRESS}{at}>", name=name, fields=_fields(one, other=other))
            for at, one in enumerate(examples)
        ]
    if kind == "datetime":
        return Moment(_moment(value) + timedelta(days=1, hours=1, minutes=1, seconds=1) * other)
    found = Expected(f"{name}~" if other else name) if value is None else varied(value, other=other)
    if kind in {"set", "frozenset"}:
        items: list[object] = list(found) if isinstance(found, list | dict) else [found]
        return Unordered(items)
    return found


def _fields(value: JsonValue, *, other: bool) -> Mapping[str, object]:
    return {key: varied(one, other=other) for key, one in value.items()} if isinstance(value, dict) else {}


def _moment(value: JsonValue) -> datetime:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else _DAY
    except ValueError:
        return _DAY


class Examples(dict[str, object]):
    """The example values of an agent's variables, each made when it is first read.

    other: the name of the variable that has another value than in the plain render.
    """

    def __init__(
        self,
        variables: Mapping[Stability, Mapping[str, JsonValue]],
        types: Mapping[str, str],
        other: str | None,
    ) -> None:
        super().__init__()
        self._layers = {name: layer for layer, names in variables.items() for name in names}
        self._variables = variables
        self._types = types
        self._other = other

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a variable of this name."""
        return name in self._layers or name in self._types

    def __missing__(self, name: str) -> object:
        layer = self._layers.get(name)
        example = None if layer is None else self._variables[layer][name]
        value = typed(name, self._types.get(name), example, other=name == self._other)
        self[name] = value
        return value


def plain_globals(meter: Meter) -> dict[str, object]:
    """Return the functions that Jinja offers everywhere, and those of its translations."""

    def numbers(args: Args, kwargs: Mapping[str, object]) -> object:
        span = range(*[int(arg) if isinstance(arg, int | float) else 2 for arg in args[:3]])
        meter.step(min(len(span), 10**9))
        return list(span)

    def pairs(args: Args, kwargs: Mapping[str, object]) -> dict[object, object]:
        meter.weigh(args, kwargs)
        first = args[0] if args and isinstance(args[0], dict) else {}
        return {**first, **kwargs}

    def message(args: Args, kwargs: Mapping[str, object]) -> object:
        return args[0] if args else ""

    functions = {
        "range": numbers,
        "dict": pairs,
        "namespace": lambda args, kwargs: Namespace({str(k): v for k, v in pairs(args, kwargs).items()}),
        "cycler": lambda args, kwargs: Cycler(args),
        "joiner": lambda args, kwargs: Joiner(args[0] if args else ", "),
        "gettext": message,
        "_": message,
        "ngettext": message,
        "pgettext": lambda args, kwargs: args[1],
        "npgettext": lambda args, kwargs: args[1],
        "list": lambda args, kwargs: items_of(args[0] if args else [], meter),
        "str": lambda args, kwargs: text_of(args[0] if args else "", meter),
        "len": lambda args, kwargs: len(items_of(args[0], meter)),
        "sorted": lambda args, kwargs: items_of(args[0], meter),
        "enumerate": lambda args, kwargs: list(enumerate(items_of(args[0], meter))),
        "zip": lambda args, kwargs: list(zip(*[items_of(arg, meter) for arg in args], strict=False)),
    }
    return {name: Function(shown=f"<function {name}>", call=call) for name, call in functions.items()}


class StandIns:
    """Stands in for functions and filters that nobody here knows. names: which were called."""

    def __init__(self, meter: Meter) -> None:
        self.names: set[str] = set()
        self._meter = meter

    def called(self, name: str, args: Args) -> Expected:
        """Return what an unknown function or filter gives: the words that call it, and another time in others.

        Raises `Exhausted` for arguments that are too long to say.
        """
        self.names.add(name)
        shown = ", ".join(text_of(arg, self._meter) for arg in args)
        if len(shown) > LONGEST_ARGUMENTS:
            raise Exhausted(f"arguments of more than {LONGEST_ARGUMENTS:,} characters")
        self._meter.room(len(shown) + len(name))
        return Expected(f"{name}({shown})")


LONGEST_ARGUMENTS = 100_000
