"""How a command fails: one sentence on stderr and an exit code, never a traceback.

Knows which error means what to a shell. Knows nothing of what the commands do.
"""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import agentcache
from agentcache.errors import AgentCacheError, RunError, Unauthenticated, UnexpectedCall, UnusedReply
from agentcache.visible import visible

RUN_FAILED = 1
"""The run was started and ended without its result."""
CANNOT_RUN = 2
"""Nothing was run: a target, setting, declaration, key or database cannot be used. Usage errors share this code."""
TRACEBACK_SWITCH = "AGENTCACHE_TRACEBACK"
"""Set this environment variable to see the traceback of an unexpected error."""

_OURS = Path(agentcache.__file__).parent


def exit_code(error: Exception) -> int:
    """Return what the process should end with for `error`."""
    started = isinstance(error, RunError | UnexpectedCall | UnusedReply) and not isinstance(error, Unauthenticated)
    return CANNOT_RUN if isinstance(error, AgentCacheError) and not started else RUN_FAILED


def sentence(error: Exception) -> str:
    """Return one line that says what went wrong; for errors that nobody raised on purpose also where."""
    message = visible(" ".join(str(error).split()))
    if isinstance(error, AgentCacheError):
        return message or type(error).__name__
    place = authors_place(error)
    where = f" at {place}" if place else ""
    kind = type(error).__name__
    return f"{kind}: {message}{where}" if message else f"{kind}{where}"


def authors_place(error: BaseException) -> str | None:
    """Return `file, line n` of the innermost frame that is the author's own code; `None` when no frame is."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown(error.filename)}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        if _is_authors(frame.filename):
            return f"{_shown(frame.filename)}, line {frame.lineno}"
    return None


def _is_authors(filename: str) -> bool:
    path = Path(filename)
    foreign = {"site-packages", "dist-packages"} & set(path.parts)
    return path.is_file() and not foreign and not path.is_relative_to(_OURS) and not _is_standard(path)


def _is_standard(path: Path) -> bool:
    return path.is_relative_to(Path(os.__file__).parent)


def _shown(filename: str) -> str:
    path = Path(filename)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
