"""Checks what was written in settings, by pydantic; apart from them, since most commands are given nothing to check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from agentcache.errors import SettingsError

_T = TypeVar("_T")


def checked(adapter: TypeAdapter[_T], values: Mapping[str, object], where: str, names: Sequence[str]) -> _T:
    """Return `values` as the adapter's type; `names` are what could stand there.

    Raises `SettingsError`, with `where` in front, for a setting that does not exist or a value of the wrong type.
    """
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = ".".join(map(str, problem["loc"]))
        if problem["type"] == "unexpected_keyword_argument":
            close = get_close_matches(name, names, n=1)
            remedy = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names)}"
            raise SettingsError(f"{where}: no setting is called {name!r}; {remedy}") from error
        raise SettingsError(f"{where}: {name!r} is {problem['input']!r}: {problem['msg']}") from error
