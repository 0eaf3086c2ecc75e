"""Formats: which follow the locale or time zone of the process, and which leave only the day of a clock's reading."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agentcache.lint.finding import Place
from agentcache.lint.flow.arguments import Arguments
from agentcache.lint.flow.names import one
from agentcache.lint.meanings import format_has_hours, format_is_local
from agentcache.lint.origins import Origin, OriginKind
from agentcache.lint.values import NONE, Trace, Traces, Value

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


FORMATTING = frozenset(
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
LOCAL_NUMBERS = frozenset(
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


LOCAL_TIMES = frozenset(
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


def local_format(name: str, value: Value, arguments: Arguments, place: Place) -> Value | None:
    """Return the value in a form that follows a locale or time zone; `None` when this is no such formatting."""
    if name not in LOCAL_NUMBERS | LOCAL_TIMES:
        return None
    asked = [
        key for key in arguments.named if key in {"locale", "tz", "tzinfo", "timezone", "lang", "language", "zone"}
    ]
    varying = arguments.content
    data = value.data | value.order
    told = any(_LOCALE.fullmatch(text) for text in arguments.texts) or bool(asked)
    if name in LOCAL_TIMES:
        told = told or any(_ZONE.fullmatch(text) for text in arguments.texts) or _has_own_format(arguments)
    if told and not (asked and varying):
        formatted = reformatted(value, name, arguments)
        return Value(data=formatted.data | varying, decided=value.decided)
    more = NONE if asked else varying
    return Value(data=data | more | one(OriginKind.LOCALE, (name,), place), decided=value.decided)


def _has_own_format(arguments: Arguments) -> bool:
    return any(text not in _NAMED_FORMS and not format_is_local(text) for text in arguments.texts)


def reformatted(value: Value, name: str, arguments: Arguments) -> Value:
    """Return a clock's reading as a day where a format, an attribute or a cut leaves only the day of it."""
    day = name in _DATE_PARTS or (name in FORMATTING and _shows_days_only(arguments))
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


def day_or_clock(kind: OriginKind, arguments: Arguments, values: Sequence[Value] = ()) -> OriginKind:
    """Return whether a clock is read to the day or nearer, by the formats among its arguments and values."""
    texts = [text for text in arguments.texts if "%" in text or re.search(r"YY|yy", text)]
    texts += [
        value.example for value in values if value.constant and isinstance(value.example, str) and "%" in value.example
    ]
    if kind is OriginKind.CLOCK and texts and not any(format_has_hours(text) for text in texts):
        return OriginKind.DATE
    if kind is OriginKind.DATE and any(format_has_hours(text) for text in texts):
        return OriginKind.CLOCK
    return kind
