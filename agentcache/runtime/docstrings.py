"""A docstring, taken apart: what a tool does, and what each parameter means.

Reads the three usual styles (Google `Args:`, numpy `Parameters`, Sphinx `:param:`). A section that does not match
the parameters one for one stays in the description, so that nothing an author wrote is lost.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping
from typing import TypeAlias

from agentcache.prompt.canonical import canonical_text

_Parts: TypeAlias = tuple[list[str], dict[str, list[str]]]

_GOOGLE_HEAD = re.compile(r"(?:Args|Arguments|Parameters|Params):")
_GOOGLE_ENTRY = re.compile(r"(\w+)(?: \([^)]*\))?: *(.*)")
_NUMPY_ENTRY = re.compile(r"(\w+)(?: *:.*)?")
_SPHINX_ENTRY = re.compile(r":param (?:[^:]*\s)?(\w+): *(.*)")
_SPHINX_TYPE = re.compile(r":type \w+:.*")


def read_docstring(docstring: str, parameters: Collection[str]) -> tuple[str, Mapping[str, str]]:
    """Return the description and the text per parameter; the latter is empty where no style fits `parameters`."""
    text = canonical_text(inspect.cleandoc(docstring))
    for split in (_google, _numpy, _sphinx):
        rest, entries = split(text.split("\n"))
        described = {name: " ".join(line for line in lines if line) for name, lines in entries.items()}
        if described and described.keys() <= set(parameters) and all(described.values()):
            return canonical_text(re.sub(r"\n{3,}", "\n\n", "\n".join(rest))).strip(), described
    return text.strip(), {}


def _google(lines: list[str]) -> _Parts:
    rest: list[str] = []
    entries: dict[str, list[str]] = {}
    current: list[str] | None = None
    depth: int | None = None
    inside = False
    for line in lines:
        if line and not line.startswith(" "):
            inside = bool(_GOOGLE_HEAD.fullmatch(line))
            if not inside:
                rest.append(line)
        elif not inside or not line:
            rest.append(line)
        else:
            indent = len(line) - len(line.lstrip())
            depth = indent if depth is None else depth
            entry = _GOOGLE_ENTRY.fullmatch(line.strip()) if indent == depth else None
            if entry:
                current = entries.setdefault(entry[1], [])
            if current is None:
                return lines, {}
            current.append(entry[2] if entry else line.strip())
    return rest, entries


def _numpy(lines: list[str]) -> _Parts:
    start = next((i for i, line in enumerate(lines) if line == "Parameters" and _is_rule(lines, i + 1)), None)
    if start is None:
        return lines, {}
    end = next((i for i in range(start + 2, len(lines)) if lines[i] and _is_rule(lines, i + 1)), len(lines))
    entries: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in filter(None, lines[start + 2 : end]):
        if line.startswith(" "):
            if current is None:
                return lines, {}
            current.append(line.strip())
        else:
            entry = _NUMPY_ENTRY.fullmatch(line)
            if entry is None:
                return lines, {}
            current = entries.setdefault(entry[1], [])
    return [*lines[:start], *lines[end:]], entries


def _sphinx(lines: list[str]) -> _Parts:
    rest: list[str] = []
    entries: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in lines:
        entry = _SPHINX_ENTRY.fullmatch(line)
        if entry:
            current = entries.setdefault(entry[1], [])
            current.append(entry[2])
        elif current is not None and line.startswith(" "):
            current.append(line.strip())
        else:
            current = None
            if not _SPHINX_TYPE.fullmatch(line):
                rest.append(line)
    return rest, entries


def _is_rule(lines: list[str], index: int) -> bool:
    return index < len(lines) and len(lines[index]) > 2 and set(lines[index]) == {"-"}
