"""What a value looks like to a template: plain, and equal values always in one order.

Decides which values have one text (sorted dicts and sets, fields of models, ISO dates) and refuses the others by the
name of their variable. Knows no template and nothing of what is done with the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from functools import singledispatch
from typing import Protocol, runtime_checkable

from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonValue, canonical_json


def plain_variables(variables: Mapping[str, object]) -> dict[str, JsonValue]:
    """Return variables as plain values. Raises `SettingsError` naming the variable that has none."""
    return {name: plain_value(value, name=name) for name, value in variables.items()}


def plain_value(value: object, *, name: str = "value") -> JsonValue:
    """Return `value` as templates see it: text, numbers, lists and dicts, equal values always in one order.

    Dicts (any mapping) are sorted by key and keys must be text; sets become lists, numbers first and in order, then
    the rest by their JSON. Tuples, named ones too, become lists. Pydantic models and dataclasses become dicts of
    their fields; dates and times ISO text; decimals and paths (with `/`) text; enum members their value.

    `name` stands in errors. Raises `SettingsError` for anything else (an object without a text of its own, a
    generator, an open file, bytes), for NaN and infinity, for text that is no Unicode, and for endless nesting.
    """
    try:
        return _plain(value, name)
    except RecursionError:
        raise SettingsError(f"`{name}` contains itself, or is nested too deeply to be shown") from None


@runtime_checkable
class _PathLike(Protocol):  # pathlib itself stays out of pure modules
    def __fspath__(self) -> str: ...

    def as_posix(self) -> str: ...


@runtime_checkable
class _Model(Protocol):  # a model of pydantic, whose import would take longer than most of what is done here
    __pydantic_fields_set__: set[str]

    def model_dump(self) -> dict[str, object]: ...


@singledispatch
def _plain(value: object, where: str) -> JsonValue:
    if value is None:
        return None
    if isinstance(value, _Model) and not isinstance(value, type):
        return _plain(value.model_dump(), where)  # not its JSON mode, which writes sets in hash order
    if is_dataclass(value) and not isinstance(value, type):
        return _plain({field.name: getattr(value, field.name) for field in fields(value)}, where)
    if isinstance(value, _PathLike) and isinstance(path := value.as_posix(), str):
        return _plain(path, where)
    kind = f"`{where}` is a {type(value).__name__}"
    if isinstance(value, Iterator):
        raise SettingsError(f"{kind}, which can be read only once; pass its content, as text or as a list")
    raise SettingsError(f"{kind}, which has no one text; pass its fields in a dict, or the text that you mean")


@_plain.register
def _(value: bool, where: str) -> JsonValue:
    return value


@_plain.register
def _(value: int, where: str) -> JsonValue:
    return int(value)


@_plain.register(float)
@_plain.register(Decimal)
def _(value: float | Decimal, where: str) -> JsonValue:
    if not Decimal(value).is_finite():
        raise SettingsError(f"`{where}` is {value}, which is no JSON number; pass the text or None that you mean")
    return str(value) if isinstance(value, Decimal) else float(value)


@_plain.register
def _(value: str, where: str) -> JsonValue:
    text = str.__str__(value)  # a subclass may show itself otherwise, as Markup and enums do
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SettingsError(f"`{where}` is no Unicode text ({error.reason} at {error.start}); decode it anew") from None
    return text


@_plain.register(date)
@_plain.register(time)
def _(value: date | time, where: str) -> JsonValue:
    return value.isoformat()


@_plain.register
def _(value: Enum, where: str) -> JsonValue:
    return _plain(value.value, where)


@_plain.register
def _(value: Mapping, where: str) -> JsonValue:  # type: ignore[type-arg]  # dispatch is by the bare class
    for key in value:
        if not isinstance(key, str):
            raise SettingsError(f"`{where}` has the key {key!r} ({type(key).__name__}); keys must be text")
    return {str(_plain(key, where)): _plain(value[key], f"{where}.{key}") for key in sorted(value)}


@_plain.register(list)
@_plain.register(tuple)
def _(value: list[object] | tuple[object, ...], where: str) -> JsonValue:
    return [_plain(item, f"{where}[{place}]") for place, item in enumerate(value)]


@_plain.register
def _(value: Set, where: str) -> JsonValue:  # type: ignore[type-arg]  # dispatch is by the bare class
    return sorted((_plain(item, where) for item in value), key=_set_order)


def _set_order(item: JsonValue) -> tuple[int, float, str]:
    if isinstance(item, int | float):
        return 0, item, ""
    return 1, 0, canonical_json(item)
