"""What methods and functions give: a source of variation, or what they make of their arguments."""

from __future__ import annotations

import re
from dataclasses import replace

from agentcache.lint.finding import Place
from agentcache.lint.flow.arguments import Arguments
from agentcache.lint.flow.formats import LOCAL_NUMBERS, LOCAL_TIMES, day_or_clock, local_format, reformatted
from agentcache.lint.flow.names import one
from agentcache.lint.meanings import format_is_local, source_meaning, words_of
from agentcache.lint.origins import OriginKind
from agentcache.lint.values import NONE, NOTHING, Value, joined, without

FIXED = "fixed"
"""Target of a value that was settled by a seed: what comes of it is the same every time."""


_ORDER_FREE_METHODS = frozenset(
    {"get", "count", "index", "issubset", "issuperset", "isdisjoint", "__len__", "__contains__"}
)


_ORDINARY = frozenset({"time", "timestamp", "count", "index", "date", "hour", "minute", "second", "get", "now"}) - {
    "now"
}


def method_called(value: Value, name: str, arguments: Arguments, place: Place) -> Value:
    """Return what a method of a value gives."""
    words, plain = words_of(name), name.lower()
    more = arguments.content
    if value.target is FIXED:
        return Value(data=more)
    if value.root is None or value.root.declared:
        kind = source_meaning(("", name), called=True)
        if kind in {OriginKind.LIVE, OriginKind.RANDOM, OriginKind.CLOCK, OriginKind.ID} and plain not in _ORDINARY:
            return Value(data=one(kind, (*_path(value), name), place))
    local = plain == "strftime" and any(format_is_local(text) for text in arguments.texts)
    if local or (plain == "astimezone" and not arguments.all):
        return Value(data=value.data | one(OriginKind.LOCALE, (*_path(value), name), place), decided=value.decided)
    if plain in {"items", "keys", "values", "copy", "union", "intersection", "difference", "symmetric_difference"}:
        return joined([replace(value.plain(), opaque=NONE), *(argument.plain() for argument in arguments.all)])
    if plain == "pop":
        return value.picked()
    if plain == "join":  # a separator's method: the argument is what is joined
        return value.as_text(arguments.all)
    if plain in {"format", "replace"} and value.constant:
        return _formatted(value, name, arguments, place)
    if plain in _ORDER_FREE_METHODS or not words:
        return value.settled().with_(data=more)
    formatted = reformatted(value, plain, arguments)
    return Value(data=formatted.data | value.order | more, decided=value.decided)


def _formatted(value: Value, name: str, arguments: Arguments, place: Place) -> Value:
    local = isinstance(value.example, str) and re.search(r"\{[^}]*:[^}]*n\}", value.example)
    text = value.as_text(arguments.all)
    return text.with_(data=one(OriginKind.LOCALE, (name,), place)) if local else text


def _path(value: Value) -> tuple[str, ...]:
    return () if value.root is None else value.root.path


def source_called(path: tuple[str, ...], arguments: Arguments, place: Place) -> Value | None:
    """Return what calling a global gives, `None` when its name has no meaning that varies."""
    last = path[-1].lower()
    if last in {"sorted", "sort", "len", "min", "max", "sum", "any", "all", "length", "count"} and len(path) == 1:
        return joined([NOTHING, *arguments.all]).settled()
    if last in {"set", "frozenset"} and len(path) == 1:
        order = one(OriginKind.SET_ORDER, path, place) if arguments.all else NONE
        return Value(data=arguments.content, order=order)
    if last in {"id", "hash", "repr_address"} and len(path) == 1:
        return Value(data=one(OriginKind.OBJECT_TEXT, path, place))
    if last in {"object"} and len(path) == 1:
        return Value(opaque=one(OriginKind.OBJECT_TEXT, path, place))
    if last in LOCAL_NUMBERS | LOCAL_TIMES and last.startswith(("format_", "local")) and arguments.all:
        first = arguments.positional[0] if arguments.positional else NOTHING
        rest = Arguments(positional=arguments.positional[1:], named=arguments.named)
        return local_format(last, first, rest, place)
    keys = arguments.named.get("sort_keys")
    if keys is not None and keys.example:
        text = NOTHING.as_text(arguments.all)
        return replace(text, data=without(text.data, OriginKind.DICT_ORDER))
    kind = source_meaning(path, called=True)
    if kind is None or (kind is OriginKind.RANDOM and _fixes_chance(path, arguments)):
        return None
    if kind in {OriginKind.CLOCK, OriginKind.DATE}:
        if _is_given_time(path, arguments):
            return None
        kind = day_or_clock(kind, arguments)
    return Value(data=one(kind, path, place))


def _fixes_chance(path: tuple[str, ...], arguments: Arguments) -> bool:
    """`random.Random(7)` and a seed give the same choice every time."""
    return arguments.seeded or (path[-1] in {"Random", "default_rng", "RandomState", "seed"} and arguments.constant)


def _is_given_time(path: tuple[str, ...], arguments: Arguments) -> bool:
    """Say whether a clock's formatting function is told which time to show: `time.strftime(fmt, then)`."""
    return path[-1] in {"strftime", "ctime", "asctime", "localtime", "gmtime"} and len(arguments.positional) > (
        1 if path[-1] == "strftime" else 0
    )
