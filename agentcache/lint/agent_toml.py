"""Reads the text of agent.toml: the model, example variables by layer, their types, and what templates may use.

Unknown keys are refused, each with its line: a misspelt one would otherwise be passed over in silence.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from difflib import get_close_matches
from math import isfinite

from agentcache.errors import SettingsError, TargetError
from agentcache.lint.agent_sources import Offered, SourceFile
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.sections import Stability

_KEYS = ("model", "variables", "types", "environment")
_LAYERS = tuple(layer.value for layer in Stability)
_TYPES = (
    *("set", "frozenset", "dict:unordered", "datetime", "date", "time", "object"),
    *("str", "int", "float", "bool", "list", "tuple", "dict"),
)
"""Those of the first line matter to rules. The others say what the example shows too, and do no harm."""
_TYPE = re.compile(rf"(?:(?:list|tuple|set|frozenset)\[)*(?:{'|'.join(map(re.escape, _TYPES))})\]*")
_OFFERS = ("globals", "filters", "extensions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What an agent.toml declares. model: `None` when it names none."""

    model: str | None = None
    variables: Mapping[Stability, Mapping[str, JsonValue]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    offered: Offered = field(default_factory=Offered)


def read_declaration(file: SourceFile) -> Declaration:
    """Return what the file declares; `[variables.static.tone_rules]` is the variable `tone_rules` with a table in it.

    Raises `TargetError` with file and line for text that is no TOML, an unknown key, and a value of the wrong type.
    """
    try:
        document: dict[str, object] = tomllib.loads(file.text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        where = f", line {found[1]}" if found else ""
        raise TargetError(f"{file.path}{where}: this is no TOML: {error}") from error
    _check_keys(file, document, _KEYS, "")
    layers = _table(file, document, "variables")
    _check_keys(file, layers, _LAYERS, "variables.")
    environment = _table(file, document, "environment")
    _check_keys(file, environment, _OFFERS, "environment.")
    examples = {layer: _table(file, layers, layer, "variables.") for layer in layers}
    told = {name: _type_of(value) for values in examples.values() for name, value in values.items()}
    return Declaration(
        model=_model(file, document),
        variables={Stability(layer): _plain(file, layer, values) for layer, values in examples.items()},
        types={name: kind for name, kind in told.items() if kind} | _types(file, document),
        offered=Offered(
            globals=_names(file, environment, "globals"),
            filters=_names(file, environment, "filters"),
            extensions=_names(file, environment, "extensions"),
        ),
    )


def _check_keys(file: SourceFile, table: Mapping[str, object], known: tuple[str, ...], prefix: str) -> None:
    for key in table:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f"did you mean {prefix}{close[0]}?" if close else f"known are {', '.join(known)}"
            raise _wrong(file, key, f"unknown key {prefix}{key}; {hint}")


def _model(file: SourceFile, document: Mapping[str, object]) -> str | None:
    model = document.get("model")
    if model is not None and not isinstance(model, str):
        raise _wrong(file, "model", f"model is a {type(model).__name__}; write its name in quotes")
    return model


def _table(file: SourceFile, table: Mapping[str, object], key: str, prefix: str = "") -> Mapping[str, object]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise _wrong(file, key, f"{prefix}{key} is a {type(value).__name__}; write a table [{prefix}{key}]")
    return value


def _types(file: SourceFile, document: Mapping[str, object]) -> dict[str, str]:
    types = _table(file, document, "types")
    wrong = next((name for name, kind in types.items() if not isinstance(kind, str)), None)
    if wrong is not None:
        raise _wrong(file, wrong, f"types.{wrong} is no text; write the name of a type in quotes")
    for name, kind in types.items():
        if not _TYPE.fullmatch(str(kind)):
            close = get_close_matches(str(kind), _TYPES, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(_TYPES)}, and list[...] of one"
            raise _wrong(file, name, f"types.{name} is the unknown type {kind}; {hint}")
    return {name: str(kind) for name, kind in types.items()}


def _names(file: SourceFile, table: Mapping[str, object], key: str) -> frozenset[str]:
    names = table.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _wrong(file, key, f"environment.{key} is no list of names; write {key} = ['name', ...]")
    return frozenset(names)


def _plain(file: SourceFile, layer: str, values: Mapping[str, object]) -> dict[str, JsonValue]:
    try:
        return {name: _json(value, name) for name, value in values.items()}
    except SettingsError as error:
        raise TargetError(f"{file.path}, [variables.{layer}]: {error}") from error


def _json(value: object, name: str) -> JsonValue:
    """Return a value of TOML as `plain_values` makes it of the same in Python, without loading what that knows."""
    if isinstance(value, dict):
        return {key: _json(one, f"{name}.{key}") for key, one in value.items()}
    if isinstance(value, list):
        return [_json(one, f"{name}[{at}]") for at, one in enumerate(value)]
    if isinstance(value, float) and not isfinite(value):
        raise SettingsError(f"{name} is {value}, which JSON cannot say; give a number or a text")
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    raise SettingsError(f"{name} is a {type(value).__name__}; give a text, a number, a list or a table")


def _type_of(value: object) -> str | None:
    if isinstance(value, datetime):
        return "datetime"
    return "date" if isinstance(value, date) else None


def _wrong(file: SourceFile, key: str, message: str) -> TargetError:
    line = next(_lines_with(file.text, key), None)
    where = file.path if line is None else f"{file.path}, line {line}"
    return TargetError(f"{where}: {message}")


def _lines_with(text: str, key: str) -> Iterator[int]:
    written = re.compile(rf"""^\s*(\[[^\]]*)?["']?{re.escape(key)}["']?\s*[\].=]""")
    for number, line in enumerate(text.splitlines(), start=1):
        if written.match(line) or re.match(rf"^\s*\[.*\b{re.escape(key)}\b.*\]", line):
            yield number
