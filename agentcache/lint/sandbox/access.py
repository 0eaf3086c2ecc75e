"""Attributes, items, and the methods that a value has in a template: these, and no others."""

from __future__ import annotations

from collections.abc import Callable

from agentcache.lint.sandbox.formatting import moment_text
from agentcache.lint.sandbox.meter import Meter
from agentcache.lint.sandbox.methods import dict_method, list_method, text_method
from agentcache.lint.sandbox.operators import contains
from agentcache.lint.sandbox.texts import text_of
from agentcache.lint.sandbox.values import (
    Cycler,
    Expected,
    Function,
    Group,
    Joiner,
    Loop,
    Module,
    Moment,
    Namespace,
    Unordered,
)


def attribute(value: object, name: str, meter: Meter) -> object:
    """Return `value.name`: of a dictionary first what Python has there, as Jinja does."""
    meter.step()
    if name.startswith("_"):
        return Expected("", missing=True)
    found = _own(value, name, meter)
    if found is None and isinstance(value, dict):
        return value.get(name, Expected("", missing=True))
    return _nothing(value, name, meter) if found is None else found


def item(value: object, key: object, meter: Meter) -> object:
    """Return `value[key]`: an item first, then an attribute."""
    meter.step()
    if isinstance(value, str | list | tuple) and isinstance(key, int):
        return value[key] if -len(value) <= key < len(value) else Expected("", missing=True)
    if isinstance(value, dict) and isinstance(key, str | int | float | None) and key in value:
        found: object = value[key]
        return found
    if isinstance(key, str):
        return attribute(value, key, meter)
    return _nothing(value, text_of(key, meter), meter)


def sliced(value: object, start: object, stop: object, step: object, meter: Meter) -> object:
    """Return `value[start:stop:step]`. Raises `TypeError` where there is none."""
    bounds = [bound if isinstance(bound, int) else None for bound in (start, stop, step)]
    if isinstance(value, Expected):
        return value
    if not isinstance(value, str | list | tuple):
        raise TypeError("slice")
    meter.room(len(value))
    if not isinstance(value, str):
        meter.step(len(value))
    return value[slice(*bounds)]


def _nothing(value: object, name: str, meter: Meter) -> object:
    if isinstance(value, Expected):
        if name in value.fields:
            return value.fields[name]
        whole = value.name or value.text
        meter.room(len(whole) + len(name))
        return Expected(f"{whole}.{name}")
    return Expected("", missing=True)


def _own(value: object, name: str, meter: Meter) -> object:
    if isinstance(value, str):
        return text_method(value, name, meter, lambda whole, part: attribute(whole, part, meter))
    if isinstance(value, dict):
        return dict_method(value, name, meter)
    if isinstance(value, list):
        return list_method(value, name, meter)
    if isinstance(value, Loop):
        return _of_loop(value, name, meter)
    if isinstance(value, Moment):
        return _of_moment(value, name, meter)
    if isinstance(value, Unordered):
        return _of_set(value, name, meter)
    return _of_template(value, name, meter)


def _of_template(value: object, name: str, meter: Meter) -> object:
    if isinstance(value, Namespace | Module):
        return value.names.get(name, Expected("", missing=True))
    if isinstance(value, Group):
        return {"grouper": value[0], "list": value[1]}.get(name)
    if isinstance(value, Cycler):
        if name == "next":
            return Function(shown="next", call=lambda args, kwargs: next_of(value))
        if name == "current":
            return value.items[value.position] if value.items else Expected("", missing=True)
        return Function(shown="reset", call=lambda args, kwargs: _reset(value)) if name == "reset" else None
    if isinstance(value, Function):
        return {"name": value.name, "arguments": value.arguments, "catch_kwargs": value.catches_kwargs}.get(name)
    return None


def next_of(cycler: Cycler) -> object:
    """Return a cycler's item and go on to the next."""
    if not cycler.items:
        return Expected("", missing=True)
    found = cycler.items[cycler.position]
    cycler.position = (cycler.position + 1) % len(cycler.items)
    return found


def _reset(cycler: Cycler) -> None:
    cycler.position = 0


def joined_with(joiner: Joiner) -> object:
    """Return what a joiner gives: nothing the first time, then its separator."""
    if joiner.used:
        return joiner.separator
    joiner.used = True
    return ""


def _of_loop(loop: Loop, name: str, meter: Meter) -> object:
    count, at = len(loop.items), loop.position
    nothing = Expected("", missing=True)
    plain: dict[str, object] = {
        "index": at + 1,
        "index0": at,
        "revindex": count - at,
        "revindex0": count - at - 1,
        "first": at == 0,
        "last": at == count - 1,
        "length": count,
        "depth": loop.depth0 + 1,
        "depth0": loop.depth0,
        "previtem": loop.items[at - 1] if at else nothing,
        "nextitem": loop.items[at + 1] if at + 1 < count else nothing,
        "cycle": Function(shown="cycle", call=lambda args, kwargs: args[at % len(args)] if args else nothing),
        "changed": Function(shown="changed", call=lambda args, kwargs: _changed(loop, args, meter)),
    }
    return plain.get(name)


def _changed(loop: Loop, values: tuple[object, ...], meter: Meter) -> bool:
    meter.weigh(values, loop.last_changed)
    changed = not loop.seen_any or loop.last_changed != values
    loop.last_changed, loop.seen_any = values, True
    return changed


def _of_moment(moment: Moment, name: str, meter: Meter) -> object:
    at = moment.at
    numbers = {"year": at.year, "month": at.month, "day": at.day, "hour": at.hour, "minute": at.minute}
    numbers |= {"second": at.second, "microsecond": at.microsecond}
    if name in numbers:
        return numbers[name]
    calls: dict[str, Callable[[tuple[object, ...]], object]] = {
        "strftime": lambda args: moment_text(moment, text_of(args[0], meter), meter),
        "isoformat": lambda args: at.isoformat(*[part for part in args if isinstance(part, str) and len(part) == 1]),
        "date": lambda args: Expected(at.date().isoformat()),
        "time": lambda args: Expected(at.time().isoformat()),
        "timestamp": lambda args: Expected(f"timestamp({at.isoformat()})"),
        "weekday": lambda args: at.weekday(),
        "isoweekday": lambda args: at.isoweekday(),
        "astimezone": lambda args: moment,
        "replace": lambda args: moment,
        "ctime": lambda args: moment_text(moment, "%c", meter),
    }
    called = calls.get(name)
    return None if called is None else Function(shown=name, call=lambda args, kwargs: called(args))


def _of_set(whole: Unordered, name: str, meter: Meter) -> object:
    def mixed(args: tuple[object, ...], *, keep: bool) -> Unordered:
        return Unordered([one for one in whole.items if any(contains(arg, one, meter) for arg in args) == keep])

    def union(args: tuple[object, ...]) -> Unordered:
        items = list(whole.items)
        for arg in args:
            more = arg.items if isinstance(arg, Unordered) else arg
            if isinstance(more, list | tuple):
                meter.step(len(more))
                items.extend(one for one in more if not contains(Unordered(items), one, meter))
        return Unordered(items)

    calls: dict[str, Callable[[tuple[object, ...]], object]] = {
        "union": union,
        "intersection": lambda args: mixed(args, keep=True),
        "difference": lambda args: mixed(args, keep=False),
        "copy": lambda args: Unordered(list(whole.items)),
        "issubset": lambda args: not mixed(args, keep=False).items,
    }
    called = calls.get(name)
    return None if called is None else Function(shown=name, call=lambda args, kwargs: called(args))
