"""How a failure is kept as JSON, and how the same failure is raised again.

Errors of our own tree come back as what they were, with their fields; so do the built-in ones. Of any other, type and
message are kept, and a `RunError` says both. Nothing is pickled: what a database holds is data, never code.
"""

from __future__ import annotations

import builtins
import inspect

from pydantic import TypeAdapter

from agentcache import errors
from agentcache.errors import AgentCacheError, RunError
from agentcache.prompt.canonical import JsonObject, JsonValue


def error_to_json(error: BaseException) -> JsonObject:
    """Return an error as JSON: `type`, `message` and, of our own errors, `fields`."""
    told: JsonObject = {"type": type(error).__name__, "message": str(error)}
    if isinstance(error, AgentCacheError):
        told["fields"] = {name: _plain(getattr(error, name)) for name in _fields(type(error))}
    return told


def error_from_json(told: JsonValue) -> Exception:
    """Return the error that `error_to_json` was given, or a `RunError` that tells of it."""
    if not isinstance(told, dict):
        return RunError(f"a recorded error is {type(told).__name__}, not an object; the record is damaged")
    name, message = str(told.get("type")), str(told.get("message"))
    kind, fields = getattr(errors, name, None), told.get("fields")
    if isinstance(kind, type) and issubclass(kind, AgentCacheError) and isinstance(fields, dict):
        known = {field: _typed(kind, field, fields[field]) for field in _fields(kind) if field in fields}
        return kind(message, **known)
    builtin = getattr(builtins, name, None)
    if isinstance(builtin, type) and issubclass(builtin, Exception) and not issubclass(builtin, UnicodeError):
        return builtin(message)
    return RunError(f"{name}: {message}")


def _fields(kind: type[AgentCacheError]) -> list[str]:
    if kind.__init__ is Exception.__init__:
        return []
    parameters = inspect.signature(kind).parameters.values()
    return [item.name for item in parameters if item.kind is item.KEYWORD_ONLY]


def _plain(value: object) -> JsonValue:
    plain: JsonValue = TypeAdapter(object).dump_python(value, mode="json")
    return plain


def _typed(kind: type[AgentCacheError], field: str, value: JsonValue) -> object:
    """Return a field under its declared type: a dataclass such as `Spent` was kept as its fields."""
    annotation = inspect.get_annotations(kind.__init__, eval_str=True)[field]
    return TypeAdapter(annotation).validate_python(value)
