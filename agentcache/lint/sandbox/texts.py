"""How a value looks where it is printed, and whether it counts as true."""

from __future__ import annotations

from agentcache.lint.sandbox.meter import Meter
from agentcache.lint.sandbox.values import (
    Cycler,
    Expected,
    Function,
    Joiner,
    Loop,
    Module,
    Moment,
    Namespace,
    Unordered,
)


def text_of(value: object, meter: Meter) -> str:
    """Return what printing a value gives, as Python's `str`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | float) or value is None:
        return str(value)
    meter.room(meter.weigh(value))
    return _shown(value) if isinstance(value, Expected | Moment | Module) else _represented(value)


def _shown(value: Expected | Moment | Module) -> str:
    if isinstance(value, Moment):
        return str(value.at)
    return value.text


def _represented(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_represented, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_represented, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_represented(key)}: {_represented(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Unordered):
        return "{" + ", ".join(map(_represented, value.items)) + "}" if value.items else "set()"
    if isinstance(value, Expected):
        return value.text
    if isinstance(value, Moment):
        return repr(value.at)
    if isinstance(value, Function):
        return value.shown
    return _named(value)


def _named(value: object) -> str:
    if isinstance(value, str | int | float) or value is None:
        return repr(value)
    if isinstance(value, Namespace):
        return f"<Namespace {_represented(value.names)}>"
    if isinstance(value, Loop):
        return f"<LoopContext {value.position + 1}/{len(value.items)}>"
    if isinstance(value, Module):
        return f"<TemplateModule {value.name!r}>"
    if isinstance(value, Cycler | Joiner):
        return f"<{type(value).__name__}>"
    return f"<{type(value).__name__}>"


def truth(value: object) -> bool:
    """Tell what `if` makes of a value; what is only expected counts as there, unless it never will be."""
    if isinstance(value, Expected):
        return not value.missing
    if isinstance(value, Unordered):
        return bool(value.items)
    if isinstance(value, str | int | float | list | tuple | dict):
        return bool(value)
    return value is not None
