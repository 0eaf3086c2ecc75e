"""What stands for a tool's code in the key of its memo: a digest of its source and of what it closes over.

Two functions of one source that close over different values would answer differently, so what is closed over counts
too, as far as it can be written down. What it uses of its own module is looked at in `called_code.py`; code in other
modules is not seen: an author who changes that gives the tool a `version`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import ParamSpec

from agentcache.errors import ToolDeclarationError
from agentcache.prompt.canonical import JsonValue, canonical_json, digest
from agentcache.runtime.schemas import json_form
from agentcache.runtime.signatures import underlying

P = ParamSpec("P")


def code_version(function: Callable[P, object], *, where: str) -> str:
    """Return a digest that changes with the function's source and with the plain values it closes over.

    Raises `ToolDeclarationError` when it closes over something that cannot be written down, such as a connection.
    """
    plain = underlying(function)
    source = "" if plain is None else _source(plain)
    captured = {name: _written(name, value, where) for name, value in _captured(function, plain)}
    return digest(canonical_json([source, captured]))


def _source(function: FunctionType) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):  # no file behind it: typed into a plain prompt, or made by exec
        return canonical_json(code_json(function.__code__))


def code_json(code: CodeType) -> JsonValue:
    """Return compiled code as JSON that changes with what it does and not with where it stands."""
    return [code.co_code.hex(), [*code.co_names], [*code.co_varnames], [_constant(item) for item in code.co_consts]]


def _constant(value: object) -> JsonValue:
    if isinstance(value, CodeType):
        return code_json(value)
    return [*sorted(map(repr, value))] if isinstance(value, frozenset) else repr(value)


def _captured(function: Callable[P, object], plain: FunctionType | None) -> Iterator[tuple[str, object]]:
    found: object = function
    while isinstance(found, partial):
        yield "partial", [list(found.args), found.keywords]
        found = found.func
    if isinstance(found, MethodType):
        yield "self", found.__self__
    elif not isinstance(found, FunctionType):
        yield "self", found
    if plain is not None:
        for name, cell in zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True):
            try:
                yield name, cell.cell_contents
            except ValueError:  # empty while the function is being declared: the function's own name
                continue


def _written(name: str, value: object, where: str) -> JsonValue:
    if isinstance(value, ModuleType):
        return value.__name__
    if isinstance(value, (type, FunctionType)):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, (str, int, float, bool, type(None), list, tuple, dict, set, frozenset, Mapping)):
        try:
            return json_form(value)
        except (TypeError, ValueError):
            pass
    raise ToolDeclarationError(
        f"{where}: is deterministic, but depends on {name!r} (a {type(value).__name__}), which the key of its memo "
        "cannot hold; pass version='...' that names this dependency, or deterministic=False"
    )
