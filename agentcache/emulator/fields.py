"""Reading untrusted JSON field by field, with the API's wording for what does not fit.

The API validates with pydantic, and its messages reach clients as `path: text`; these readers give the same texts. They
know types and allowed names; what a field means, their callers know.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from agentcache.emulator.json_values import JsonObject, JsonValue
from agentcache.emulator.refusals import ApiError, extra_input, field_required


def read_object(value: JsonValue, path: str) -> JsonObject:
    """Return `value`, which must be an object."""
    if not isinstance(value, dict):
        raise ApiError(f"{path}: Input should be a valid dictionary")
    return value


def read_list(value: JsonValue, path: str) -> list[JsonValue]:
    """Return `value`, which must be an array."""
    if not isinstance(value, list):
        raise ApiError(f"{path}: Input should be a valid list")
    return value


def read_text(value: JsonValue, path: str) -> str:
    """Return `value`, which must be a string."""
    if not isinstance(value, str):
        raise ApiError(f"{path}: Input should be a valid string")
    return value


def read_bool(value: JsonValue, path: str) -> bool:
    """Return `value`, which must be true or false."""
    if not isinstance(value, bool):
        raise ApiError(f"{path}: Input should be a valid boolean")
    return value


def read_integer(value: JsonValue, path: str, *, minimum: int) -> int:
    """Return `value`, which must be a whole number of at least `minimum`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ApiError(f"{path}: Input should be a valid integer")
    if value < minimum:
        raise ApiError(f"{path}: Input should be greater than or equal to {minimum}")
    return value


def read_number(value: JsonValue, path: str, *, low: float, high: float) -> float:
    """Return `value`, which must be a number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ApiError(f"{path}: Input should be a valid number")
    if not low <= value <= high:
        raise ApiError(f"{path}: range: {low:g}..{high:g}")
    return value


def read_choice(value: JsonValue, path: str, choices: Collection[str]) -> str:
    """Return `value`, which must be one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        quoted = [f"'{choice}'" for choice in choices]
        listed = " or ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))
        raise ApiError(f"{path}: Input should be {listed}")
    return value


def read_tag(value: Mapping[str, JsonValue], path: str, tags: Collection[str]) -> str:
    """Return the `type` of an object that must be one of `tags`."""
    if "type" not in value:
        raise field_required(f"{path}.type")
    tag = value["type"]
    if not isinstance(tag, str) or tag not in tags:
        expected = ", ".join(f"'{known}'" for known in sorted(tags))
        raise ApiError(
            f"{path}: Input tag {str(tag)!r} found using 'type' does not match any of the expected tags: {expected}"
        )
    return tag


def require(value: Mapping[str, JsonValue], path: str, names: Collection[str]) -> None:
    """Refuse an object that lacks one of `names`."""
    for name in names:
        if name not in value:
            raise field_required(f"{path}.{name}" if path else name)


def allow_only(value: Mapping[str, JsonValue], path: str, names: Collection[str]) -> None:
    """Refuse an object that has a name outside `names`."""
    for name in value:
        if name not in names:
            raise extra_input(f"{path}.{name}" if path else name)
