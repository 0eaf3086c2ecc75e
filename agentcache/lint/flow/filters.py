"""What filters and tests do to a value that varies: settle its order, keep it, choose by it, or make it text."""

from __future__ import annotations

from dataclasses import replace

from agentcache.lint.finding import Place
from agentcache.lint.flow.arguments import Arguments
from agentcache.lint.flow.formats import FORMATTING, day_or_clock, local_format, reformatted
from agentcache.lint.flow.names import one
from agentcache.lint.meanings import filter_meaning, format_has_hours, format_is_local, words_of
from agentcache.lint.origins import OriginKind
from agentcache.lint.values import NONE, NOTHING, Value, joined, without

# What settles order: the result is the same in whatever order the parts came.
_SETTLING = frozenset({"sort", "dictsort", "groupby", "length", "count", "min", "max", "sum", "wordcount"})


# What chooses by order.
_PICKING = frozenset({"first", "last", "nth"})


# What gives the parts on in the order in which they came.
_KEEPING = frozenset(
    {
        "list",
        "map",
        "unique",
        "select",
        "reject",
        "selectattr",
        "rejectattr",
        "batch",
        "slice",
        "reverse",
        "items",
        "safe",
        "default",
        "d",
        "flatten",
        "compact",
        "tuple",
        "keys",
        "values",
    }
)


_SORTING_WORDS = frozenset({"sort", "sorted", "ordered", "natsort", "sortby", "dictsort", "sorting", "natsorted"})


_COUNTING_WORDS = frozenset({"len", "length", "size", "count"})


# What asks about a value without showing it: the same whatever the value is just now.
_PRESENCE = frozenset(
    {
        "defined",
        "undefined",
        "none",
        "string",
        "number",
        "mapping",
        "sequence",
        "iterable",
        "callable",
        "boolean",
        "integer",
        "float",
        "filter",
        "test",
        "escaped",
    }
)


_DATE_FILTERS = frozenset({"strftime", "date", "dateformat", "datetimeformat", "date_format"})


def filtered(name: str, value: Value, arguments: Arguments, place: Place, *, offered: bool) -> Value:
    """Return the value behind a filter. offered: the author's environment has one of this name of its own."""
    known = None if offered and name not in _SETTLING else _built_in(name, value, arguments, place)
    return _author_filter(name, value, arguments, place) if known is None else known


def _built_in(name: str, value: Value, arguments: Arguments, place: Place) -> Value | None:
    if name == "random":
        return _random(name, value, arguments, place)
    if name == "tojson":
        return _json(value, arguments, settled=True)
    if name == "pprint":  # sorts dicts, and sets only when they are long
        text = value.as_text()
        return replace(text, data=without(text.data, OriginKind.DICT_ORDER))
    if name in {"default", "d"}:
        return joined([value.plain(), *arguments.positional]) if arguments.positional else value.plain()
    if name == "attr":
        return value.part()
    if name in {"map", "join", "sum"} and _takes_attribute(name, arguments):
        value = replace(value, opaque=NONE)
    if name in _SETTLING:
        return _settled(name, value, arguments)
    return _passed_on(name, value, arguments)


def _settled(name: str, value: Value, arguments: Arguments) -> Value:
    settled = value.settled().with_(data=arguments.content)
    if name in {"length", "count", "wordcount"}:
        return replace(settled, data=without(settled.data, OriginKind.SET_ORDER, OriginKind.DICT_ORDER))
    return replace(settled, opaque=value.opaque) if name in {"sort", "groupby", "min", "max"} else settled


def _passed_on(name: str, value: Value, arguments: Arguments) -> Value | None:
    if name in _PICKING:
        return value.picked()
    if name in _KEEPING:
        return value.plain().with_(data=arguments.content)
    return value.as_text(arguments.all) if name in _TEXT else None


_TEXT = frozenset(
    {
        "abs",
        "capitalize",
        "center",
        "e",
        "escape",
        "filesizeformat",
        "float",
        "forceescape",
        "format",
        "indent",
        "int",
        "join",
        "lower",
        "replace",
        "round",
        "string",
        "striptags",
        "title",
        "trim",
        "truncate",
        "upper",
        "urlencode",
        "urlize",
        "wordwrap",
        "xmlattr",
    }
)


def _takes_attribute(name: str, arguments: Arguments) -> bool:
    return "attribute" in arguments.named or (name == "join" and len(arguments.positional) > 1)


def _json(value: Value, arguments: Arguments, *, settled: bool) -> Value:
    keys = arguments.named.get("sort_keys")
    if keys is not None:
        settled = keys.example is not False
    text = value.as_text()
    return replace(text, data=without(text.data, OriginKind.DICT_ORDER)) if settled else text


def _random(name: str, value: Value, arguments: Arguments, place: Place) -> Value:
    if arguments.seeded:
        return value.picked()
    return Value(data=value.data | one(OriginKind.RANDOM, (name,), place), decided=value.decided, opaque=value.opaque)


def _author_filter(name: str, value: Value, arguments: Arguments, place: Place) -> Value:
    words, plain = set(words_of(name)), name.lower()
    if words & _SORTING_WORDS or plain in _COUNTING_WORDS:
        return value.settled().with_(data=arguments.content)
    if plain in _DATE_FILTERS and value.constant and isinstance(value.example, str):
        return _stamp(value.example, arguments, place, name)
    local = local_format(plain, value, arguments, place)
    if local is not None:
        return local
    if plain in FORMATTING and any(format_is_local(text) for text in arguments.texts):
        return value.as_text().with_(data=one(OriginKind.LOCALE, (name,), place))
    kind = filter_meaning(name)
    if kind is OriginKind.RANDOM:
        return _random(name, value, arguments, place)
    if kind is OriginKind.OBJECT_TEXT:
        whole = value.constant and not isinstance(value.example, str)  # numbers hash to themselves
        return value.settled() if whole else value.settled().with_(data=one(kind, (name,), place))
    if kind in {OriginKind.CLOCK, OriginKind.DATE}:
        return Value(
            data=value.data | one(day_or_clock(kind, arguments, [value]), (name,), place), decided=value.decided
        )
    if kind is not None:
        return Value(data=one(kind, (name,), place))
    if "json" in words:
        return _json(value, arguments, settled=False)
    formatted = reformatted(value, plain, arguments)
    return replace(formatted.plain(), opaque=NONE).with_(data=arguments.content)


def _stamp(written: str, arguments: Arguments, place: Place, name: str) -> Value:
    """`'%H:%M'|strftime` and `'now'|date('Y-m-d')` ask for the time; `'2026-01-01'|date` does not."""
    if written.lower() in {"now", "today"}:
        day = written.lower() == "today" or any(not format_has_hours(text) for text in arguments.texts)
        return Value(data=one(OriginKind.DATE if day else OriginKind.CLOCK, (name,), place))
    if "%" in written and not arguments.all:
        kind = OriginKind.CLOCK if format_has_hours(written) else OriginKind.DATE
        return Value(data=one(kind, (name,), place))
    return NOTHING


def tested(name: str, value: Value, arguments: Arguments) -> Value:
    """Return the answer of a test. Whether a global is there at all is the same at every render."""
    if (
        name in {"defined", "undefined"}
        and value.data
        and all(t.origin.kind is OriginKind.UNDECLARED for t in value.data)
    ):
        return Value(constant=True, example=name == "undefined")  # nobody gives it
    if name in _PRESENCE and not any(trace.origin.stability is not None for trace in value.data):
        return NOTHING
    return Value(data=value.data | arguments.content, decided=value.decided)
