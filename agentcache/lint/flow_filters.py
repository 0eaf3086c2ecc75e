"""What filters, tests, methods and functions do to a value that varies: settle its order, keep it, or make it text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from agentcache.lint.finding import Place
from agentcache.lint.flow_names import one
from agentcache.lint.origins import Origin, OriginKind
from agentcache.lint.values import NONE, NOTHING, Trace, Traces, Value, joined
from agentcache.lint.vocabulary import (
    filter_meaning,
    format_has_hours,
    format_is_local,
    source_meaning,
    words_of,
)

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
_ORDER_FREE_METHODS = frozenset(
    {"get", "count", "index", "issubset", "issuperset", "isdisjoint", "__len__", "__contains__"}
)
_DATE_PARTS = frozenset(
    {
        "date",
        "year",
        "month",
        "day",
        "weekday",
        "isoweekday",
        "isocalendar",
        "toordinal",
        "day_of_week",
        "to_date_string",
        "todatestring",
        "day_name",
        "month_name",
        "quarter",
        "week",
        "day_of_year",
    }
)
_FORMATTING = frozenset(
    {
        "strftime",
        "format",
        "strftime_now",
        "to_format",
        "isoformat",
        "date",
        "dateformat",
        "datetimeformat",
        "format_date",
        "format_datetime",
        "datetime",
        "strftimenow",
        "now",
        "format_time",
        "time_format",
        "date_format",
    }
)

# Formatting that follows the locale or the time zone of the process, or of whoever asks, unless told which.
_LOCAL_NUMBERS = frozenset(
    {
        "format_currency",
        "format_decimal",
        "format_percent",
        "format_scientific",
        "format_number",
        "currency",
        "currencyformat",
        "numberformat",
        "number_format",
        "decimalformat",
        "percentformat",
        "scientificformat",
        "intcomma",
        "localize",
        "localise",
        "localized",
        "money",
        "moneyformat",
        "format_compact_decimal",
        "format_compact_currency",
        "format_unit",
        "format_list",
        "locale_number",
        "to_locale_string",
        "tolocalestring",
        "format_money",
        "commafy",
        "number",
        "percent",
    }
)
_LOCAL_TIMES = frozenset(
    {
        "datetimeformat",
        "dateformat",
        "timeformat",
        "format_date",
        "format_datetime",
        "format_time",
        "format_timedelta",
        "format_interval",
        "timedeltaformat",
        "date",
        "datetime",
        "time",
        "localtime",
        "local_time",
        "to_local",
        "tolocal",
        "date_format",
        "time_format",
        "localdate",
        "humanize",
        "format_skeleton",
        "to_localtime",
        "astimezone",
        "as_local",
        "local_date",
        "naturalday",
        "naturaldate",
    }
)
_NAMED_FORMS = frozenset({"short", "medium", "long", "full", "default"})
_LOCALE = re.compile(r"[a-z]{2,3}[-_][A-Za-z]{2,4}([-_]\w+)?")
_ZONE = re.compile(r"UTC|GMT|Z|[A-Z][A-Za-z]+/[A-Za-z_/]+|[+-]\d\d:?\d\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Arguments of a filter, test or call. written: those that are literals, in order and by name."""

    positional: Sequence[Value] = ()
    named: Mapping[str, Value] = field(default_factory=dict)

    @property
    def all(self) -> list[Value]:
        """All of them."""
        return [*self.positional, *self.named.values()]

    @property
    def texts(self) -> list[str]:
        """The literal texts among them."""
        return [value.example for value in self.all if value.constant and isinstance(value.example, str)]

    @property
    def constant(self) -> bool:
        """Whether there are some and none of them varies."""
        return bool(self.all) and not any(value.shown for value in self.all)


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
        return replace(value.as_text(), data=_without(value.as_text().data, OriginKind.DICT_ORDER))
    if name in {"default", "d"}:
        return joined([value.plain(), *arguments.positional]) if arguments.positional else value.plain()
    if name in {"map", "attr", "join", "sum"} and _takes_attribute(name, arguments):
        value = replace(value, opaque=NONE)
    if name == "attr":
        return value.part()
    if name in _SETTLING:
        settled = value.settled().with_(data=_content(arguments))
        return replace(settled, opaque=value.opaque) if name in {"sort", "groupby", "min", "max"} else settled
    if name in _PICKING:
        return value.picked()
    if name in _KEEPING:
        return value.plain().with_(data=_content(arguments))
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
    return name == "attr" or "attribute" in arguments.named or (name == "join" and len(arguments.positional) > 1)


def _content(arguments: Arguments) -> Traces:
    return frozenset().union(*(argument.data | argument.decided for argument in arguments.all))


def _without(traces: Traces, kind: OriginKind) -> Traces:
    return frozenset(trace for trace in traces if trace.origin.kind is not kind)


def _json(value: Value, arguments: Arguments, *, settled: bool) -> Value:
    keys = arguments.named.get("sort_keys")
    if keys is not None:
        settled = keys.example is not False
    text = value.as_text()
    return replace(text, data=_without(text.data, OriginKind.DICT_ORDER)) if settled else text


def _random(name: str, value: Value, arguments: Arguments, place: Place) -> Value:
    if _is_seeded(arguments):
        return value.picked()
    return Value(data=value.data | one(OriginKind.RANDOM, (name,), place), decided=value.decided, opaque=value.opaque)


def _is_seeded(arguments: Arguments) -> bool:
    seed = next(
        (value for name, value in arguments.named.items() if name in {"seed", "random_state", "rng", "key"}), None
    )
    return seed is not None and not seed.shown


def _author_filter(name: str, value: Value, arguments: Arguments, place: Place) -> Value:
    words, plain = set(words_of(name)), name.lower()
    if words & _SORTING_WORDS or plain in _COUNTING_WORDS:
        return value.settled().with_(data=_content(arguments))
    local = local_format(plain, value, arguments, place)
    if local is not None:
        return local
    if (
        plain in {"strftime", "date", "dateformat", "datetimeformat"}
        and value.constant
        and isinstance(value.example, str)
    ):
        return _stamp(value.example, arguments, place, name)
    kind = filter_meaning(name)
    if kind is OriginKind.RANDOM:
        return _random(name, value, arguments, place)
    if kind is OriginKind.OBJECT_TEXT:
        whole = value.constant and not isinstance(value.example, str)  # numbers hash to themselves
        return value.settled() if whole else value.settled().with_(data=one(kind, (name,), place))
    if kind in {OriginKind.CLOCK, OriginKind.DATE}:
        return Value(
            data=value.data | one(_day_or_clock(kind, arguments, [value]), (name,), place), decided=value.decided
        )
    if kind is not None:
        return Value(data=one(kind, (name,), place))
    if "json" in words:
        return _json(value, arguments, settled=False)
    formatted = reformatted(value, plain, arguments)
    return replace(formatted.plain(), opaque=NONE).with_(data=_content(arguments))


def _stamp(written: str, arguments: Arguments, place: Place, name: str) -> Value:
    """`'%H:%M'|strftime` and `'now'|date('Y-m-d')` ask for the time; `'2026-01-01'|date` does not."""
    if written.lower() in {"now", "today"}:
        day = written.lower() == "today" or any(not format_has_hours(text) for text in arguments.texts)
        return Value(data=one(OriginKind.DATE if day else OriginKind.CLOCK, (name,), place))
    if "%" in written and not arguments.all:
        kind = OriginKind.CLOCK if format_has_hours(written) else OriginKind.DATE
        return Value(data=one(kind, (name,), place))
    return NOTHING


def local_format(name: str, value: Value, arguments: Arguments, place: Place) -> Value | None:
    """Return the value in a form that follows a locale or time zone; `None` when this is no such formatting."""
    if name not in _LOCAL_NUMBERS | _LOCAL_TIMES:
        return None
    asked = [
        key for key in arguments.named if key in {"locale", "tz", "tzinfo", "timezone", "lang", "language", "zone"}
    ]
    varying = _content(arguments)
    data = value.data | value.order
    told = any(_LOCALE.fullmatch(text) for text in arguments.texts) or bool(asked)
    if name in _LOCAL_TIMES:
        told = told or any(_ZONE.fullmatch(text) for text in arguments.texts) or _has_own_format(arguments)
    by = varying if asked else NONE
    if told and not by:
        formatted = reformatted(value, name, arguments)
        return Value(data=formatted.data | varying, decided=value.decided)
    return Value(data=data | varying | one(OriginKind.LOCALE, (name,), place), decided=value.decided)


def _has_own_format(arguments: Arguments) -> bool:
    return any(text not in _NAMED_FORMS and not format_is_local(text) for text in arguments.texts)


def reformatted(value: Value, name: str, arguments: Arguments) -> Value:
    """Return a clock's reading as a day where a format, an attribute or a cut leaves only the day of it."""
    day = name in _DATE_PARTS or (name in _FORMATTING and _shows_days_only(arguments))
    return replace(value, data=as_days(value.data)) if day else value


def _shows_days_only(arguments: Arguments) -> bool:
    texts = [text for text in arguments.texts if not _ZONE.fullmatch(text) and not _LOCALE.fullmatch(text)]
    formats = [text for text in texts if "%" in text or re.search(r"[YyMDd]{1,4}", text)]
    return bool(formats) and not any(format_has_hours(text) for text in formats)


def as_days(traces: Traces) -> Traces:
    """Return the traces with clocks read to the day."""
    return frozenset(_as_day(trace) if trace.origin.kind is OriginKind.CLOCK else trace for trace in traces)


def _as_day(trace: Trace) -> Trace:
    origin = trace.origin
    day = Origin(kind=OriginKind.DATE, name=origin.name, place=origin.place, stability=origin.stability)
    return trace._replace(origin=day)


def _day_or_clock(kind: OriginKind, arguments: Arguments, values: Sequence[Value] = ()) -> OriginKind:
    texts = [text for text in arguments.texts if "%" in text or re.search(r"YY|yy", text)]
    texts += [
        value.example for value in values if value.constant and isinstance(value.example, str) and "%" in value.example
    ]
    if kind is OriginKind.CLOCK and texts and not any(format_has_hours(text) for text in texts):
        return OriginKind.DATE
    if kind is OriginKind.DATE and any(format_has_hours(text) for text in texts):
        return OriginKind.CLOCK
    return kind


def tested(name: str, value: Value, arguments: Arguments) -> Value:
    """Return the answer of a test. Whether a global is there at all is the same at every render."""
    if name in _PRESENCE and not any(trace.origin.stability is not None for trace in value.data):
        return NOTHING
    return Value(data=value.data | _content(arguments), decided=value.decided)


def method_called(value: Value, name: str, arguments: Arguments, place: Place) -> Value:
    """Return what a method of a value gives."""
    words, plain = words_of(name), name.lower()
    more = _content(arguments)
    if value.root is None or value.root.declared:
        kind = source_meaning(("", name), called=True)
        if kind in {OriginKind.LIVE, OriginKind.RANDOM, OriginKind.CLOCK, OriginKind.ID} and plain not in _ORDINARY:
            return Value(data=one(kind, (*_path(value), name), place))
    if plain == "strftime" and any(format_is_local(text) for text in arguments.texts):
        return Value(data=value.data | one(OriginKind.LOCALE, (*_path(value), name), place), decided=value.decided)
    if plain == "astimezone" and not arguments.all:
        return Value(data=value.data | one(OriginKind.LOCALE, (*_path(value), name), place), decided=value.decided)
    if plain in {"items", "keys", "values", "copy", "union", "intersection", "difference", "symmetric_difference"}:
        return joined([replace(value.plain(), opaque=NONE), *(argument.plain() for argument in arguments.all)])
    if plain == "pop":
        return value.picked()
    if plain == "join":  # a separator's method: the argument is what is joined
        return value.as_text(arguments.all)
    if plain in {"format", "replace"} and value.constant:
        local = isinstance(value.example, str) and re.search(r"\{[^}]*:[^}]*n\}", value.example)
        text = value.as_text(arguments.all)
        return text.with_(data=one(OriginKind.LOCALE, (name,), place)) if local else text
    if plain in _ORDER_FREE_METHODS or not words:
        return value.settled().with_(data=more)
    formatted = reformatted(value, plain, arguments)
    return Value(data=formatted.data | value.order | more, decided=value.decided)


_ORDINARY = frozenset(
    {"time", "timestamp", "count", "index", "query", "date", "hour", "minute", "second", "get", "now"}
) - {"now"}


def _path(value: Value) -> tuple[str, ...]:
    return () if value.root is None else value.root.path


def source_called(path: tuple[str, ...], arguments: Arguments, place: Place) -> Value | None:
    """Return what calling a global gives, `None` when its name has no meaning that varies."""
    last = path[-1].lower()
    if last in {"sorted", "sort", "len", "min", "max", "sum", "any", "all", "length", "count"} and len(path) == 1:
        return joined([NOTHING, *arguments.all]).settled()
    if last in {"set", "frozenset"} and len(path) == 1:
        order = one(OriginKind.SET_ORDER, path, place) if arguments.all else NONE
        return Value(data=_content(arguments), order=order)
    if last in {"id", "hash", "repr_address"} and len(path) == 1:
        return Value(data=one(OriginKind.OBJECT_TEXT, path, place))
    if last in {"object"} and len(path) == 1:
        return Value(opaque=one(OriginKind.OBJECT_TEXT, path, place))
    if last in _LOCAL_NUMBERS | _LOCAL_TIMES and last.startswith(("format_", "local")) and arguments.all:
        first = arguments.positional[0] if arguments.positional else NOTHING
        rest = Arguments(positional=arguments.positional[1:], named=arguments.named)
        return local_format(last, first, rest, place)
    kind = source_meaning(path, called=True)
    if kind is None or (kind is OriginKind.RANDOM and _fixes_chance(path, arguments)):
        return None
    if kind in {OriginKind.CLOCK, OriginKind.DATE}:
        if _is_given_time(path, arguments):
            return None
        kind = _day_or_clock(kind, arguments)
    return Value(data=one(kind, path, place))


def _fixes_chance(path: tuple[str, ...], arguments: Arguments) -> bool:
    """`random.Random(7)` and a seed give the same choice every time."""
    return _is_seeded(arguments) or (
        path[-1] in {"Random", "default_rng", "RandomState", "seed"} and arguments.constant
    )


def _is_given_time(path: tuple[str, ...], arguments: Arguments) -> bool:
    """A clock's formatting function that is told the time shows that time: `time.strftime(fmt, then)`."""
    return path[-1] in {"strftime", "ctime", "asctime", "localtime", "gmtime"} and len(arguments.positional) > (
        1 if path[-1] == "strftime" else 0
    )
