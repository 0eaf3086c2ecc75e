"""What no test would notice: the part of the tests reviewer's work that needs the project's listing.

This module decides which calls tell whether a module has tests, and what is said when it has none: one finding for
each module that no test names, or, in a directory without any tests, one finding that says so and a few places where
a mistake would cost most. "Most" is a count of branches and `raise` statements; it understands nothing of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import PurePosixPath

from agents.offline import rules
from agents.offline.checks import Definition, Hit, definitions, is_code, is_test
from agents.offline.python_source import counted
from agents.offline.report import MOST_UNTESTED
from agents.offline.transcript import Json, ToolAnswer, call, next_listing, readable_files

FEW_CASES = 6
"""A function with fewer branches and `raise` statements than this is not worth naming."""

_GENERATED = re.compile(r"(^|/)(package-lock\.json|yarn\.lock|poetry\.lock|uv\.lock)$|\.min\.(js|css)$|(^|/)vendor/")
_MATCH = re.compile(r"^(.+?):\d+: ", re.MULTILINE)
_INDEX_FILES = frozenset({"__init__", "index", "mod", "main", "__main__"})

Files = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A hit and the file that it is in."""

    path: str
    hit: Hit


def is_written(path: str) -> bool:
    """Whether people wrote the file, as far as its name tells."""
    return not _GENERATED.search(path)


def next_look_for_tests(files: Files, answers: Sequence[ToolAnswer]) -> list[Json]:
    """Return the calls that tell which modules of the batch have tests: the listing, then one round of searches."""
    if (listing := next_listing(answers)) is not None:
        return [listing]
    if any(answer.tool == "search_text" for answer in answers):
        return []
    tests = [path for path in readable_files(answers) if is_test(path)]
    directories = sorted({path.split("/")[0] if "/" in path else "." for path in tests})
    directories = ["."] if "." in directories else directories
    unknown = [path for path in _to_cover(files) if not _has_test_file(path, tests)]
    return [call("search_text", text=_module(path), directory=place) for path in unknown for place in directories]


def untested(files: Files, answers: Sequence[ToolAnswer]) -> Iterator[Placed]:
    """Yield what no test would notice in `files`, judged by the listing and the searches."""
    code = [path for path in readable_files(answers) if is_code(path) and is_written(path)]
    if any(is_test(path) for path in code):
        yield from _unnamed_modules(files, answers)
        return
    if code and code[0] in files:  # of all batches one says it
        note = f"{counted(len(code), 'file')} of code, none of them a test"
        yield Placed(path=code[0], hit=Hit(rule=rules.NO_TESTS, lines=(1,), note=note))
    # This batch's share, at least one: the editor sees those of all batches and keeps the largest.
    most = ceil(MOST_UNTESTED * len(files) / max(len(code), len(files), 1))
    for path, item in _most_cases(files)[:most]:
        yield Placed(path=path, hit=Hit(rule=rules.UNTESTED_CASES, lines=(item.line,), note=item.sentence()))


def _most_cases(files: Files) -> list[tuple[str, Definition]]:
    found = [(path, item) for path in _to_cover(files) for item in definitions(path, files[path])]
    worth_naming = [(path, item) for path, item in found if item.cases >= FEW_CASES]
    return sorted(worth_naming, key=lambda pair: (-pair[1].cases, pair[0], pair[1].line))


def _unnamed_modules(files: Files, answers: Sequence[ToolAnswer]) -> Iterator[Placed]:
    tests = [path for path in readable_files(answers) if is_test(path)]
    named = {
        str(answer.arguments.get("text"))
        for answer in answers
        if answer.tool == "search_text" and any(is_test(path) for path in _MATCH.findall(answer.text))
    }
    for path in _to_cover(files):
        if _module(path) not in named and not _has_test_file(path, tests):
            found = definitions(path, files[path])
            cases = sum(item.cases for item in found)
            note = (
                f"`{_module(path)}` offers {counted(len(found), 'function')} or classes with {counted(cases, 'case')}"
            )
            yield Placed(path=path, hit=Hit(rule=rules.UNNAMED_MODULE, lines=(found[0].line,), note=note))


def _to_cover(files: Files) -> list[str]:
    return [path for path, lines in files.items() if not is_test(path) and definitions(path, lines)]


def _has_test_file(path: str, tests: Iterable[str]) -> bool:
    word = re.compile(rf"(?<![a-z0-9]){re.escape(_module(path).lower())}(?![a-z0-9])")
    return any(word.search(PurePosixPath(test).stem.lower()) for test in tests)


def _module(path: str) -> str:
    """Return the word by which a test would name the module: its stem, or its directory's name for an index file."""
    pure = PurePosixPath(path)
    return pure.parent.name if pure.stem in _INDEX_FILES and pure.parent.name else pure.stem
