"""Tells when files change: looks at their times and sizes a few times a second.

Prompts are few and small, so looking is cheap (2 ms for a thousand files) and works where notifications of the
operating system do not: on network drives, in containers, over shared folders. That is why no library is used.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

INTERVAL_S = 0.25
"""Seconds between two looks; a person does not notice them, and an editor that writes in two steps is done by then."""
_NAMES = {"tools.json", "agent.toml", "pyproject.toml"}
_SUFFIXES = (".j2", ".py")
_PASSED_OVER = {"node_modules", "__pycache__", "venv", "site-packages"}


class Seen(NamedTuple):
    """What tells one version of a file from the next: time in nanoseconds, bytes, and which file it is."""

    changed_ns: int
    size: int
    number: int


def look(paths: Iterable[Path]) -> Mapping[str, Seen]:
    """Return every file that a lint run of `paths` may read, with what is seen of it now."""
    seen: dict[str, Seen] = {}
    for path in paths:
        for entry in _files(path):
            try:
                found = os.stat(entry)
            except OSError:
                continue  # it went while we looked, which the next look tells
            seen[entry] = Seen(found.st_mtime_ns, found.st_size, found.st_ino)
    return seen


def changes(paths: Iterable[Path], *, interval_s: float = INTERVAL_S) -> Iterator[tuple[str, ...]]:
    """Yield the files that appeared, changed or went since the look before, whenever there are some; without end.

    The first look is taken now, and what changes between two steps of the iteration is seen in the next one.
    """
    watched = tuple(paths)
    return _later(watched, look(watched), interval_s)


def _later(watched: Sequence[Path], before: Mapping[str, Seen], interval_s: float) -> Iterator[tuple[str, ...]]:
    while True:
        time.sleep(interval_s)
        now = look(watched)
        different = tuple(sorted(name for name in {*before, *now} if before.get(name) != now.get(name)))
        before = now
        if different:
            yield different


def _files(path: Path) -> Iterator[str]:
    if path.is_file():
        yield str(path)
        return
    folders, followed = [str(path)], set[str]()
    while folders:
        folder = folders.pop()
        real = os.path.realpath(folder)
        if real in followed:
            continue  # a link around in a circle
        followed.add(real)
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue  # it went while we looked
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _PASSED_OVER:
                continue
            if entry.is_dir():
                folders.append(entry.path)
            elif entry.name in _NAMES or entry.name.endswith(_SUFFIXES):
                yield entry.path
