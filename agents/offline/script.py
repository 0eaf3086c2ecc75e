"""The review team without a model: replies for the emulator, made from what the tools really answered.

`emulated_replies` reads a Messages request as the model would: it finds its role in the system prompt, calls the
team's tools in rounds, reads their results, and answers in the form that the request asks for. What it says about
code comes from `checks.py` and `gaps.py`, and what the report looks like from `report.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import cast

from pydantic import JsonValue

from agents.offline.checks import check_file, is_code, is_test
from agents.offline.gaps import Placed, is_written, next_look_for_tests, untested
from agents.offline.report import SEVERITIES, explained, write_report
from agents.offline.rules import Role
from agents.offline.transcript import (
    Json,
    Reply,
    ToolAnswer,
    call,
    next_listing,
    readable_files,
    role_of,
    task_of,
    tool_answers,
)

READS_PER_ROUND = 4
PAGES_PER_FILE = 25
NAMED_FILES = 60

_BATCHED = re.compile(r"^- (.+) \(\d+ bytes\)$", re.MULTILINE)
_NEXT_LINE = re.compile(r"\bNext page: start_line=(\d+)\.")
_NUMBERED = re.compile(r"(\d+)\t(.*)")
_SETTINGS = frozenset(
    {".toml", ".yaml", ".yml", ".json", ".ini", ".cfg", ".conf", ".tf", ".xml", ".properties", ".txt"}
)


def emulated_replies(request: Mapping[str, JsonValue]) -> Reply:
    """Return the next reply of the agent that sent `request`.

    Raises `ValueError` when the system prompt names no role of the review team.
    """
    role = role_of(request)
    answers = list(tool_answers(request))
    if role == "planner":
        return _next_plan_step(answers)
    if role == "editor":
        return write_report(json.loads(task_of(request)))
    return _next_review_step(cast("Role", role), _BATCHED.findall(task_of(request)), answers)  # `role_of` checked it


# Planner: list everything, look at the README, assign by name and suffix.


def _next_plan_step(answers: Sequence[ToolAnswer]) -> Reply:
    if (listing := next_listing(answers)) is not None:
        return [listing]
    paths = readable_files(answers)
    readme = next((path for path in paths if PurePosixPath(path).stem.lower() == "readme"), None)
    if readme is not None and not any(answer.tool == "read_file" for answer in answers):
        return [call("read_file", path=readme)]
    return json.dumps(_plan(paths, readme), ensure_ascii=False)


def _plan(paths: Sequence[str], readme: str | None) -> Json:
    written = [path for path in paths if is_written(path)]
    code = [path for path in written if is_code(path)]
    shipped = [path for path in code if not is_test(path)]
    settings = [path for path in written if _is_setting(path)]
    tests = [path for path in code if is_test(path)]
    summary = f"{len(code)} files of code, {len(tests)} of them tests" + (
        f"; described in {readme}." if readme else "."
    )
    plan: Json = {"summary": f"Sorted by a script from file names alone: {summary}"}
    for role, files, focus in (
        ("correctness", shipped, "Errors that vanish, values that surprise, lost tasks, unfinished work."),
        ("security", [*shipped, *settings], "Code from data, text in commands, open doors, credentials."),
        ("performance", shipped, "Work that repeats, waits in a row, growing memory, blocking calls."),
        ("tests", code, _focus_on_tests(tests)),
    ):
        plan[role] = {"paths": list[JsonValue](_named(files)), "focus": focus}
    return plan


def _focus_on_tests(tests: Sequence[str]) -> str:
    if tests:
        return "Modules that no test names, and tests without assertions."
    return "The listing shows no tests: name the places where a mistake would cost most."


def _is_setting(path: str) -> bool:
    pure = PurePosixPath(path)
    return pure.suffix.lower() in _SETTINGS or pure.name in {"Dockerfile", "Makefile", "Jenkinsfile"}


def _named(files: Sequence[str]) -> list[str]:
    """Name few files one by one, many by the directory at the top that holds them."""
    if len(files) <= NAMED_FILES:
        return sorted(set(files))
    return sorted({f"{path.split('/')[0]}/" if "/" in path else path for path in files})


# Reviewers: read the batch in rounds, a few files side by side, then check what was read.


def _next_review_step(role: Role, batch: Sequence[str], answers: Sequence[ToolAnswer]) -> Reply:
    reads = [answer for answer in answers if answer.tool == "read_file"]
    wanted = [read for path in batch if (read := _next_read(path, reads)) is not None]
    if wanted:
        return wanted[:READS_PER_ROUND]
    files = {path: _assembled(path, reads) for path in batch}
    if role == "tests" and (further := next_look_for_tests(files, answers)):
        return further
    placed = [Placed(path=path, hit=hit) for path, lines in files.items() for hit in check_file(path, lines, role)]
    if role == "tests":
        placed += untested(files, answers)
    placed.sort(key=lambda item: SEVERITIES.index(item.hit.rule.severity))
    unread = [f"{answer.arguments.get('path')}: {answer.text}" for answer in reads if answer.is_error]
    return json.dumps({"findings": [_finding(item) for item in placed], "not_checked": unread}, ensure_ascii=False)


def _next_read(path: str, reads: Sequence[ToolAnswer]) -> Json | None:
    """Return the call that fetches the next page of `path`, or `None` when all of it has been read."""
    pages = [answer for answer in reads if answer.arguments.get("path") == path]
    if not pages:
        return call("read_file", path=path)
    following = None if pages[-1].is_error else _NEXT_LINE.search(pages[-1].text.split("\n", 1)[0])
    if following is None or len(pages) >= PAGES_PER_FILE:
        return None
    return call("read_file", path=path, start_line=int(following[1]))


def _assembled(path: str, reads: Sequence[ToolAnswer]) -> list[str]:
    """Return the lines of `path` from the pages that were read, without the numbers."""
    pages = [answer.text for answer in reads if answer.arguments.get("path") == path and not answer.is_error]
    numbered = (_NUMBERED.fullmatch(line) for page in pages for line in page.split("\n")[1:])
    return [match[2] for match in numbered if match]


def _finding(item: Placed) -> Json:
    hit = item.hit
    return {
        "file": item.path,
        "line": hit.lines[0],
        "severity": hit.rule.severity,
        "title": hit.rule.title,
        "explanation": explained(hit.rule.explanation, hit.note, hit.lines[1:]),
        "suggestion": hit.rule.suggestion,
    }
