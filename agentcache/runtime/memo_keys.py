"""The key of a kept result: equal for calls that mean the same, and for no others. Pure.

A key is a digest of the tool's name, its code, its definition, who may share the result, what the tool declared that
it depends on, and the arguments as the function gets them: validated, with defaults filled in. So `1` and `1.0` are
the same for a parameter declared `int` or `float`, and `1`, `1.0`, `True` and `"1"` are four things for one that takes
anything. Mappings and sets have no order; lists have one. Where a choice had to be made, it is the one that cannot
give a wrong answer:

- Text counts by its code points. Two Unicode forms of one name may be two files, so they are not the same.
- A point in time counts with its offset: `12:00Z` and `12:00+00:00` are the same, `14:00+02:00` is another one, since
  a function may well print the hour.
- A model or a dataclass counts with every field and its class, those included that it would not show: secrets,
  excluded fields, private attributes. Of a secret the key holds a digest.
- A value of a class that is not known here counts as the model wrote it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from agentcache.errors import ToolArgumentsInvalid
from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json, digest
from agentcache.runtime.memo_declaration import Scope
from agentcache.runtime.schemas import json_form
from agentcache.runtime.tools import Tool

_BY_TEXT = frozenset(
    {
        *(f"datetime.{name}" for name in ("date", "time", "datetime", "timedelta")),
        *(f"ipaddress.IPv{number}{kind}" for number in "46" for kind in ("Address", "Interface", "Network")),
        *(f"{room}.{name}" for room in ("pathlib", "pathlib._local") for name in ("PosixPath", "WindowsPath")),
        "decimal.Decimal",
        "fractions.Fraction",
        "uuid.UUID",
    }
)
"""Classes whose `str` says all that there is to a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoScope:
    """Where a call is made. `conversation` is `None` outside of one, `run` the id of the outermost run."""

    run: str = ""
    conversation: str | None = None


NOWHERE = MemoScope()


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundCall:
    """A call whose arguments fit the tool. arguments: as the function gets them; material: what of them is keyed."""

    tool: Tool
    arguments: Mapping[str, object]
    material: JsonValue

    def key(self, *, tenant: str = "", scope: MemoScope = NOWHERE, dependencies: JsonValue = None) -> str:
        """Return the key. Raises `ValueError` for arguments that no UTF-8 can carry (half of a surrogate pair)."""
        rules = self.tool.memo_rules
        whose = None if rules is None else _whose(rules.scope, scope)
        return digest(canonical_json([self.tool.identity(), tenant, whose, dependencies, self.material]))

    def shown(self) -> str:
        """Return the arguments for people to read, without what their types hide; empty if they have no JSON form."""
        try:
            return canonical_json(json_form(dict(self.arguments)))
        except (TypeError, ValueError):
            return ""


def bound(tool: Tool, arguments: JsonObject) -> BoundCall | None:
    """Return the call with its arguments validated; `None` when they do not fit, which the call itself will tell.

    Raises what a validator or the key function of the author raises.
    """
    try:
        values = arguments if tool.signature is None else tool.signature.bind(arguments)
    except ToolArgumentsInvalid:
        return None
    rules = tool.memo_rules
    if rules is not None and rules.key is not None:
        return BoundCall(tool=tool, arguments=values, material=["key", written(rules.key.of(values))])
    material: JsonObject = {name: _parameter(value, name, arguments) for name, value in values.items()}
    return BoundCall(tool=tool, arguments=values, material=material)


def written(value: object) -> JsonValue:
    """Return a value as JSON in which different values look different and equal ones the same.

    Raises `TypeError` for a value of a class that is not known here.
    """
    kind: type = type(value)
    if value is None or kind is bool or kind is str:
        return value  # type: ignore[return-value]  # checked by exact type, which mypy does not follow
    if kind is int:
        return ["int", str(value)]
    if kind is float:
        return ["float", repr(value)]
    if kind is bytes:
        return ["bytes", bytes(value).hex()]  # type: ignore[call-overload]  # as above
    if isinstance(value, Enum):
        return ["enum", _name(kind), written(value.value)]
    if isinstance(value, (Secret, SecretBytes, SecretStr)):
        return ["secret", written(value.get_secret_value())]
    if _name(kind) in _BY_TEXT:
        return [_name(kind), f"{value}"]
    return _compound(value, kind)


def _compound(value: object, kind: type) -> JsonValue:
    if isinstance(value, (list, tuple)) and kind in (list, tuple):
        return [kind.__name__, [written(item) for item in value]]
    if isinstance(value, (set, frozenset)) and kind in (set, frozenset):
        return [kind.__name__, sorted((written(item) for item in value), key=canonical_json)]
    if isinstance(value, dict) and kind is dict:
        return _mapping(value)
    if isinstance(value, BaseModel):
        hidden = [_mapping(value.__pydantic_extra__ or {}), _mapping(value.__pydantic_private__ or {})]
        return ["model", _name(kind), _mapping(value.__dict__), *hidden]
    if dataclasses.is_dataclass(value) and _has_fields_only(kind):
        held = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        return ["dataclass", _name(kind), _mapping(held | getattr(value, "__dict__", {}))]
    raise TypeError(f"a {_name(kind)} is not known to the keys of a memo")


def _mapping(value: Mapping[object, object] | Mapping[str, object]) -> JsonValue:
    pairs: list[JsonValue] = [[written(name), written(item)] for name, item in value.items()]
    return ["dict", sorted(pairs, key=canonical_json)]


def _parameter(value: object, name: str, arguments: JsonObject) -> JsonValue:
    try:
        return written(value)
    except (TypeError, AttributeError):
        return ["as written", written(arguments[name])] if name in arguments else ["default"]


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


@cache
def _has_fields_only(kind: type) -> bool:
    """Whether a dataclass was given nothing that is in no field of it (`InitVar`); class variables count as doubt."""
    return len(vars(kind)["__dataclass_fields__"]) == len(dataclasses.fields(kind))


def _whose(scope: Scope, where: MemoScope) -> JsonValue:
    if scope == "shared":
        return None
    if scope == "conversation" and where.conversation is not None:
        return ["conversation", where.conversation]
    return ["run", where.run]
