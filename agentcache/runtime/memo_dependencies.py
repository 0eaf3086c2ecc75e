"""What the declared dependencies of a call are worth now: digests of files, values of variables and of functions.

A file is read each time. Its times, size and number prove nothing: two writes within the clock's grain, a restored
backup or a mounted image leave all of them as they were, and an answer from an old file is worse than a read.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path

from agentcache.prompt.canonical import JsonValue
from agentcache.runtime.memo_declaration import ArgumentRule, DependencyRule, EnvironmentValue, Template
from agentcache.runtime.memo_keys import BoundCall, written


async def dependencies_of(call: BoundCall, environment: Mapping[str, str]) -> JsonValue:
    """Return what a call depends on, as JSON that differs when any of it differs; `None` for nothing.

    Raises `OSError` for a file that is there and cannot be read, and what an author's function raises.
    """
    rules = call.tool.memo_rules
    if rules is None or not rules.depends:
        return None
    return [await _value(rule, call.arguments, environment) for rule in rules.depends]


async def _value(rule: DependencyRule, arguments: Mapping[str, object], environment: Mapping[str, str]) -> JsonValue:
    if isinstance(rule, EnvironmentValue):
        return ["env", rule.name, environment.get(rule.name)]
    if isinstance(rule, Template):
        path = rule.filled(arguments)
        return ["file", path, await asyncio.to_thread(_content, path)]
    return ["function", written(await _result(rule, arguments))]


async def _result(rule: ArgumentRule, arguments: Mapping[str, object]) -> object:
    if inspect.iscoroutinefunction(rule.function):
        found = rule.of(arguments)
    else:
        found = await asyncio.to_thread(rule.of, arguments)
    return await found if inspect.isawaitable(found) else found


def _content(path: str) -> str | None:
    """Return a digest of a file's content; `None` where there is no file."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None
