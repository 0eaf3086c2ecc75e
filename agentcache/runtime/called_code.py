"""What a tool's function uses of its own module, as far as its code names it: other functions, classes, constants.

Looked at when the tool is first called and not when it is declared, since helpers often stand below. What is seen:
functions, classes and plain constants of the same module, those that these name in turn, and wrapped functions and
tools behind their decorators. What is not: other modules, objects (a client, a table that is filled later), names that
are made up at run time. An author who changes one of those gives the tool a `version`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import ParamSpec

from agentcache.prompt.canonical import JsonValue
from agentcache.runtime.code_version import code_json
from agentcache.runtime.schemas import json_form
from agentcache.runtime.signatures import underlying

P = ParamSpec("P")

_PLAIN = (str, int, float, bool, type(None), list, tuple, dict, set, frozenset)


def called_code(function: Callable[P, object]) -> JsonValue:
    """Return what `function` uses of its module, by name: code, and values of constants."""
    plain = underlying(function)
    if plain is None:
        return {}
    seen: dict[str, JsonValue] = {}
    _follow(plain, plain.__globals__, plain.__module__, seen)
    return seen


def _follow(function: FunctionType, names: dict[str, object], module: str, seen: dict[str, JsonValue]) -> None:
    for name in sorted(set(_names(function.__code__))):
        if name in seen or name not in names or name.startswith("__"):
            continue
        value = names[name]
        original = getattr(value, "original", value)  # a tool is its function here
        plain = underlying(original) if callable(original) and not isinstance(original, type) else None
        if isinstance(original, type) and original.__module__ == module:
            functions = dict(_functions(original))
            seen[name] = [
                [base.__qualname__ for base in original.__bases__],
                {key: code_json(item.__code__) for key, item in functions.items()},
                {key: _constant(item) for key, item in _constants(original)},
            ]
            for item in functions.values():
                _follow(item, names, module, seen)
        elif plain is not None and plain.__module__ == module:
            defaults = [_constant(plain.__defaults__), _constant(plain.__kwdefaults__)]
            seen[name] = [code_json(plain.__code__), *defaults]
            _follow(plain, names, module, seen)
        elif isinstance(original, _PLAIN):
            seen[name] = ["value", _constant(original)]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for item in code.co_consts:
        if isinstance(item, CodeType):
            yield from _names(item)


def _functions(kind: type) -> Iterator[tuple[str, FunctionType]]:
    for name, item in sorted(vars(kind).items()):
        found = getattr(item, "__func__", getattr(item, "fget", item))
        if isinstance(found, FunctionType):
            yield name, found


def _constants(kind: type) -> Iterator[tuple[str, object]]:
    for name, item in sorted(vars(kind).items()):
        if isinstance(item, _PLAIN) and not name.startswith("__"):
            yield name, item


def _constant(value: object) -> JsonValue:
    try:
        return json_form(value)
    except (TypeError, ValueError):
        return type(value).__qualname__
