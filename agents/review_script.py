"""The review team without a model: replies for the emulator, made from what the tools really answered.

`emulated_replies` reads a Messages request as the model would: it finds its role in the system prompt, calls the
team's tools in rounds, reads their results, and answers in the form that the request asks for. What it says about
code comes from `review_checks.py`. It knows the texts of the tools' answers and nothing of files or directories;
the report that it writes says at its top that a script wrote it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import cast, get_args

from pydantic import JsonValue

from agents.review_checks import check_file, functions_of, is_code, is_test
from agents.review_rules import Role, Severity

Json = dict[str, JsonValue]
Reply = str | list[Json]

READS_PER_ROUND = 4
PAGES_PER_FILE = 25
LISTING_PAGES = 10
NAMED_FILES = 60
TABLE_ONLY_BEYOND = 25
PLACES_LISTED = 30
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
SCRIPT_NOTICE = (
    "> No model was asked. A script that comes with agentcache (`agents/review_script.py`) wrote this report from "
    "simple static checks; it understands nothing of what the code means."
)

_ROLE = re.compile(r"^# Your role: (\w+)$", re.MULTILINE)
_LISTED = re.compile(r"^(.+)  \((\d+) bytes(?:, (\w+))?\)$", re.MULTILINE)
_BATCHED = re.compile(r"^- (.+) \(\d+ bytes\)$", re.MULTILINE)
_NEXT_OFFSET = re.compile(r"\bNext page: offset=(\d+)\.")
_NEXT_LINE = re.compile(r"\bNext page: start_line=(\d+)\.")
_NUMBERED = re.compile(r"(\d+)\t(.*)")
_MATCH = re.compile(r"^(.+?):\d+: ", re.MULTILINE)
_SETTINGS = frozenset(
    {".toml", ".yaml", ".yml", ".json", ".ini", ".cfg", ".conf", ".tf", ".xml", ".properties", ".txt"}
)
_GENERATED = re.compile(r"(^|/)(package-lock\.json|yarn\.lock|poetry\.lock|uv\.lock)$|\.min\.(js|css)$|(^|/)vendor/")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAnswer:
    """One tool call of the transcript and what came back."""

    tool: str
    arguments: Json
    text: str
    is_error: bool


def emulated_replies(request: Mapping[str, JsonValue]) -> Reply:
    """Return the next reply of the agent that sent `request`.

    Raises `ValueError` when the system prompt names no role of the review team.
    """
    role = _role(request)
    answers = list(_tool_answers(request))
    if role == "planner":
        return _next_plan_step(answers)
    if role == "editor":
        return _report(json.loads(_asked(request)))
    return _next_review_step(cast("Role", role), _BATCHED.findall(_asked(request)), answers)


def _role(request: Mapping[str, JsonValue]) -> str:
    found = _ROLE.search(_text(request.get("system")))
    if found is None or found[1] not in {"planner", "editor", *get_args(Role)}:
        raise ValueError("this script answers the agents of agents/review.py; the system prompt names none of them")
    return found[1]


def _asked(request: Mapping[str, JsonValue]) -> str:
    """Return the text of the first user message: what this agent was asked."""
    return next((_text(message.get("content")) for message in _messages(request) if message.get("role") == "user"), "")


def _messages(request: Mapping[str, JsonValue]) -> list[Json]:
    messages = request.get("messages")
    return [item for item in messages if isinstance(item, dict)] if isinstance(messages, list) else []


def _text(content: JsonValue) -> str:
    """Return the text of a string or of a list of text blocks."""
    if isinstance(content, str):
        return content
    blocks = [item for item in content if isinstance(item, dict)] if isinstance(content, list) else []
    return "\n".join(str(block["text"]) for block in blocks if block.get("type") == "text")


def _tool_answers(request: Mapping[str, JsonValue]) -> Iterator[ToolAnswer]:
    asked: dict[str, Json] = {}
    for block in _blocks(request):
        if block.get("type") == "tool_use":
            asked[str(block["id"])] = block
        elif block.get("type") == "tool_result" and (use := asked.get(str(block["tool_use_id"]))) is not None:
            arguments = use.get("input")
            yield ToolAnswer(
                tool=str(use["name"]),
                arguments=arguments if isinstance(arguments, dict) else {},
                text=_text(block.get("content")),
                is_error=block.get("is_error") is True,
            )


def _blocks(request: Mapping[str, JsonValue]) -> Iterator[Json]:
    for message in _messages(request):
        content = message.get("content")
        yield from (item for item in content if isinstance(item, dict)) if isinstance(content, list) else ()


def _call(tool: str, **arguments: JsonValue) -> Json:
    return {"type": "tool_use", "name": tool, "input": arguments}


# Planner: list everything, look at the README, assign by name and suffix.


def _next_plan_step(answers: Sequence[ToolAnswer]) -> Reply:
    if (listing := _next_listing(answers)) is not None:
        return [listing]
    paths = _readable(answers)
    readme = next((path for path in paths if PurePosixPath(path).stem.lower() == "readme"), None)
    if readme is not None and not any(answer.tool == "read_file" for answer in answers):
        return [_call("read_file", path=readme)]
    return json.dumps(_plan(paths, readme), ensure_ascii=False)


def _next_listing(answers: Iterable[ToolAnswer]) -> Json | None:
    """Return the call that fetches the next page of the listing, or `None` when it is complete or long enough."""
    listings = [answer for answer in answers if answer.tool == "list_files"]
    if not listings:
        return _call("list_files")
    following = _NEXT_OFFSET.search(listings[-1].text.split("\n", 1)[0])
    if following is None or len(listings) >= LISTING_PAGES:
        return None
    return _call("list_files", offset=int(following[1]))


def _readable(answers: Iterable[ToolAnswer]) -> list[str]:
    listings = (answer.text for answer in answers if answer.tool == "list_files")
    return [path for text in listings for path, _, kind in _LISTED.findall(text) if not kind]


def _plan(paths: Sequence[str], readme: str | None) -> Json:
    written = [path for path in paths if not _GENERATED.search(path)]
    code = [path for path in written if is_code(path)]
    shipped = [path for path in code if not is_test(path)]
    settings = [path for path in written if _is_setting(path)]
    tests = [path for path in code if is_test(path)]
    summary = f"{len(code)} files of code, {len(tests)} of them tests" + (
        f"; described in {readme}." if readme else "."
    )
    plan: Json = {"summary": f"Sorted by a script from file names alone: {summary}"}
    for role, files, focus in (
        ("correctness", shipped, "Error handling, shared defaults, unfinished work."),
        ("security", [*shipped, *settings], "Commands, evaluation, deserialisation, credentials."),
        ("performance", shipped, "Nested loops and blocking calls."),
        ("tests", code, "Modules that no test names, and tests without assertions."),
    ):
        plan[role] = {"paths": list[JsonValue](_named(files)), "focus": focus}
    return plan


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
    wanted = [call for path in batch if (call := _next_read(path, reads)) is not None]
    if wanted:
        return wanted[:READS_PER_ROUND]
    files = {path: _assembled(path, reads) for path in batch}
    unread = [f"{answer.arguments.get('path')}: {answer.text}" for answer in reads if answer.is_error]
    if role == "tests" and (further := _next_look_for_tests(files, answers)):
        return further
    findings = [item for path, lines in files.items() for item in _findings(role, path, lines)]
    if role == "tests":
        findings += _untested(files, answers)
    findings.sort(key=lambda item: SEVERITIES.index(cast("Severity", item["severity"])))
    return json.dumps(
        {"findings": list[JsonValue](findings), "not_checked": list[JsonValue](unread)}, ensure_ascii=False
    )


def _next_read(path: str, reads: Sequence[ToolAnswer]) -> Json | None:
    """Return the call that fetches the next page of `path`, or `None` when all of it has been read."""
    pages = [answer for answer in reads if answer.arguments.get("path") == path]
    if not pages:
        return _call("read_file", path=path)
    following = None if pages[-1].is_error else _NEXT_LINE.search(pages[-1].text.split("\n", 1)[0])
    if following is None or len(pages) >= PAGES_PER_FILE:
        return None
    return _call("read_file", path=path, start_line=int(following[1]))


def _assembled(path: str, reads: Sequence[ToolAnswer]) -> list[str]:
    """Return the lines of `path` from the pages that were read, without the numbers."""
    pages = [answer.text for answer in reads if answer.arguments.get("path") == path and not answer.is_error]
    numbered = (_NUMBERED.fullmatch(line) for page in pages for line in page.split("\n")[1:])
    return [match[2] for match in numbered if match]


def _findings(role: Role, path: str, lines: Sequence[str]) -> list[Json]:
    return [
        {
            "file": path,
            "line": hit.lines[0],
            "severity": hit.rule.severity,
            "title": hit.rule.title,
            "explanation": hit.rule.explanation + _further(hit.lines[1:]),
            "suggestion": hit.rule.suggestion,
        }
        for hit in check_file(path, lines, role)
    ]


def _further(lines: Sequence[int]) -> str:
    if not lines:
        return ""
    more = "" if len(lines) <= 20 else f" and {len(lines) - 20} more"
    return f" Also in line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines[:20]))}{more}."


def _next_look_for_tests(files: Mapping[str, Sequence[str]], answers: Sequence[ToolAnswer]) -> list[Json]:
    """Return the calls that tell which modules of the batch have tests: the listing, then one round of searches."""
    if (listing := _next_listing(answers)) is not None:
        return [listing]
    if any(answer.tool == "search_text" for answer in answers):
        return []
    tests = [path for path in _readable(answers) if is_test(path)]
    places = sorted({path.split("/")[0] if "/" in path else "." for path in tests})
    places = ["."] if "." in places else places
    unknown = [path for path in _to_cover(files) if not _has_test_file(path, tests)]
    return [_call("search_text", text=_module(path), directory=place) for path in unknown for place in places]


def _has_test_file(path: str, tests: Iterable[str]) -> bool:
    word = re.compile(rf"(?<![a-z0-9]){re.escape(_module(path).lower())}(?![a-z0-9])")
    return any(word.search(PurePosixPath(test).stem.lower()) for test in tests)


def _to_cover(files: Mapping[str, Sequence[str]]) -> list[str]:
    return [path for path, lines in files.items() if not is_test(path) and functions_of(path, lines)]


def _module(path: str) -> str:
    """Return the word by which a test would name the module: its stem, or its directory's name for an index file."""
    pure = PurePosixPath(path)
    return (
        pure.parent.name
        if pure.stem in {"__init__", "index", "mod", "main", "__main__"} and pure.parent.name
        else pure.stem
    )


def _untested(files: Mapping[str, Sequence[str]], answers: Sequence[ToolAnswer]) -> list[Json]:
    tests = [path for path in _readable(answers) if is_test(path)]
    named = {
        str(answer.arguments.get("text"))
        for answer in answers
        if answer.tool == "search_text" and any(is_test(path) for path in _MATCH.findall(answer.text))
    }
    findings: list[Json] = []
    for path in _to_cover(files):
        word = _module(path)
        if word in named or _has_test_file(path, tests):
            continue
        names = functions_of(path, files[path])
        findings.append({
            "file": path,
            "line": names[0][1],
            "severity": "medium" if len(names) > 2 else "low",
            "title": "No test names this module",
            "explanation": f"None of the {len(tests)} files of tests is named after `{word}` or contains the word, so "
            f"nothing would notice when {', '.join(f'`{name}`' for name, _ in names[:5])} break.",
            "suggestion": f"Begin with a test of `{names[0][0]}`: one ordinary case, one that must fail.",
        })  # fmt: skip
    return findings


# Editor: merge findings of one title, rank, write Markdown.


def _report(given: Mapping[str, JsonValue]) -> str:
    findings = [item for item in cast("list[JsonValue]", given["findings"]) if isinstance(item, dict)]
    merged = _merged(findings)
    unchecked = [str(line) for line in cast("list[JsonValue]", given["not_checked"])]
    if given["left_out_for_length"]:
        unchecked.append(f"{given['left_out_for_length']} findings were left out for length")
    lines = [f"# Review of {given['project']}", "", SCRIPT_NOTICE, "", _opening(merged, findings), ""]
    if merged:
        lines += [
            "## Findings at a glance",
            "",
            "| # | severity | place | finding | seen by |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(number, group) for number, group in enumerate(merged, start=1)]
        lines += ["", "## Findings", ""]
        written = _worth_writing_out(merged)
        for number in written:
            lines += _written_out(number, merged[number - 1])
        if len(written) < len(merged):
            lines += [f"The other {len(merged) - len(written)} findings stand in the table alone.", ""]
    lines += ["## What was not checked", "", *(f"- {line}" for line in unchecked)]
    lines += [] if unchecked else ["Nothing was reported as unchecked."]
    return "\n".join(lines) + "\n"


def _merged(findings: Iterable[Json]) -> list[list[Json]]:
    """Group findings of one title; the input is ranked, so the groups are too, and each begins with its worst."""
    groups: dict[str, list[Json]] = {}
    for item in findings:
        groups.setdefault(str(item["title"]), []).append(item)
    return list(groups.values())


def _opening(merged: Sequence[Sequence[Json]], findings: Sequence[Json]) -> str:
    if not merged:
        return "The checks found nothing to report in the files that were read."
    counts = {severity: sum(item["severity"] == severity for item in findings) for severity in SEVERITIES}
    listed = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
    return f"The checks report {len(findings)} findings with {len(merged)} causes: {listed}. Begin with number 1."


def _place(item: Json) -> str:
    return f"`{item['file']}:{item['line']}`"


def _row(number: int, group: Sequence[Json]) -> str:
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    title = str(group[0]["title"]).replace("|", "\\|")
    return f"| {number} | {group[0]['severity']} | {_place(group[0])}{more} | {title} | {_seen_by(group)} |"


def _seen_by(group: Sequence[Json]) -> str:
    return ", ".join(sorted({str(item["reviewer"]) for item in group}))


def _worth_writing_out(merged: Sequence[Sequence[Json]]) -> list[int]:
    """Return the numbers of the findings to explain: all of few; of many what is grave, and some of the rest."""
    numbers = list(range(1, len(merged) + 1))
    if len(merged) <= TABLE_ONLY_BEYOND:
        return numbers
    grave = [number for number in numbers if merged[number - 1][0]["severity"] in {"critical", "high"}]
    return grave + [number for number in numbers if number not in grave][:10]


def _written_out(number: int, group: Sequence[Json]) -> list[str]:
    first = group[0]
    heading = f"### {number}. {first['title']}"
    facts = f"**{first['severity']}** · {_place(first)} · seen by {_seen_by(group)}"
    lines = [heading, "", facts, "", str(first["explanation"]), ""]
    if len(group) > 1:
        places = ", ".join(_place(item) for item in group[1 : PLACES_LISTED + 1])
        more = f" and {len(group) - 1 - PLACES_LISTED} more" if len(group) - 1 > PLACES_LISTED else ""
        lines += [f"Further places: {places}{more}.", ""]
    return [*lines, f"Suggestion: {first['suggestion']}", ""]
