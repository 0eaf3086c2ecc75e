"""Review a directory of source code: a planner, four reviewers side by side, an editor, one Markdown report.

    agentcache run agents/review.py:review path/to/code              # with a key
    agentcache run agents/review.py:review path/to/code --emulate    # offline: a script answers, and says so
    agentcache show agents/review.py:reviewer                        # what a reviewer's request looks like, in layers

This module decides who does what and what is handed on: which files go to which reviewer, in which batches, which
findings reach the editor, and what the report says about its own coverage. What a model may see is decided in
`source_tree.py`; how each role works stands in `prompts/review/`; what answers without a model is `offline/`.

Every agent of a role sends the same tools and static text for every project, so that reviews share them in the
cache; what belongs to one project stands in the session layer, and the files of one batch in the message.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from pydantic import BaseModel, Field

from agentcache import Agent, Limits, Prompt, Run, workflow
from agents.offline.script import emulated_replies
from agents.review_tools import source_tools
from agents.source_tree import SourceFile, SourceTree

__all__ = ["editor", "emulated_replies", "planner", "review", "reviewer"]

Role = Literal["correctness", "security", "performance", "tests"]
Severity = Literal["critical", "high", "medium", "low"]

ROLES: tuple[Role, ...] = get_args(Role)
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
MODELS: Mapping[Role, str] = {
    "correctness": "claude-sonnet-5-5",
    "security": "claude-sonnet-5-5",
    "performance": "claude-haiku-5-5",
    "tests": "claude-haiku-5-5",
}
PROMPTS = Path(__file__).resolve().parent.parent / "prompts" / "review"

BATCH_FILES = 12
BATCH_BYTES = 150_000
"""About 40,000 tokens: a batch and its findings fit any model's window, and a long prompt stays affordable."""
MAX_BATCHES = 40
"""For each reviewer; with `BATCH_FILES` this is 480 files. What is over is named in the report, not dropped quietly."""
CONCURRENT_BATCHES = 6
MAX_EDITED_FINDINGS = 120
EDITOR_MAX_TOKENS = 64_000
"""A report on `MAX_EDITED_FINDINGS` findings, all of them written out, has about half of that."""


class Assignment(BaseModel):
    """What one reviewer reads: files, or directories ending in `/`."""

    paths: list[str] = Field(description="Files as listed, or directories ending in a slash")
    focus: str = Field(description="What to look at first in this project")


class ReviewPlan(BaseModel):
    """The planner's answer."""

    summary: str = Field(description="What the project is and where its risks are")
    correctness: Assignment
    security: Assignment
    performance: Assignment
    tests: Assignment

    def assignment(self, role: Role) -> Assignment:
        """Return what `role` is to read."""
        return {
            "correctness": self.correctness,
            "security": self.security,
            "performance": self.performance,
            "tests": self.tests,
        }[role]


class Finding(BaseModel):
    """One thing to repair, at one place."""

    file: str = Field(description="The path exactly as listed")
    line: int = Field(description="The number in front of the line where the repair begins")
    severity: Severity
    title: str = Field(description="The consequence, in at most twelve words")
    explanation: str
    suggestion: str


class Findings(BaseModel):
    """A reviewer's answer for one batch, worst first."""

    findings: list[Finding]
    not_checked: list[str] = Field(description="Files or questions that could not be settled, each with the reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one reviewer is given: batches of files, and what could not be given."""

    role: Role
    focus: str
    batches: tuple[tuple[SourceFile, ...], ...]
    unknown: tuple[str, ...]
    over: tuple[SourceFile, ...]

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """All files of all batches."""
        return tuple(file for batch in self.batches for file in batch)


@cache
def prompt(role: str) -> Prompt:
    """Return the prompt of `role`, read once."""
    return Prompt.from_dir(PROMPTS / role)


def planner(tree: SourceTree | None = None) -> Agent[ReviewPlan]:
    """Return the agent that decides who reads what in `tree`.

    Its layout is the same for every tree. Without one the tools see this team's own prompts: enough to show it.
    """
    return Agent(
        name="planner",
        model="claude-sonnet-5-5",
        prompt=prompt("planner"),
        tools=source_tools(tree or SourceTree(PROMPTS)),
        output=ReviewPlan,
        limits=Limits(turns=30),
    )


def reviewer(role: Role = "correctness", tree: SourceTree | None = None) -> Agent[Findings]:
    """Return the agent that reads `tree` as `role`; without a tree as `planner` does."""
    return Agent(
        name=f"{role}-reviewer",
        model=MODELS[role],
        prompt=prompt(role),
        tools=source_tools(tree or SourceTree(PROMPTS)),
        output=Findings,
        limits=Limits(turns=40),
    )


def editor() -> Agent[str]:
    """Return the agent that merges findings into the report."""
    return Agent(
        name="editor",
        model="claude-opus-5-5",
        prompt=prompt("editor"),
        max_tokens=EDITOR_MAX_TOKENS,
        limits=Limits(turns=2),
    )


@workflow
async def review(run: Run, path: str) -> str:
    """Review the source code below the directory `path` and return a Markdown report.

    Raises `TargetError` when `path` is no directory that can be read, and whatever ends a run.
    """
    tree = await asyncio.to_thread(SourceTree, path)
    readable = [file for file in await asyncio.to_thread(lambda: tree.files) if file.kind == "text"]
    if not readable:
        return nothing_to_review(tree)
    about = {"project": tree.name, "inventory": inventory(tree.files)}
    plan = await run.ask(planner(tree), "Plan the review of this project.", session=about)
    shares = [share(role, plan.assignment(role), readable) for role in ROLES]
    if not any(part.batches for part in shares):
        return f"{nothing_assigned(tree.name, plan.summary)}\n\n{coverage(tree, readable, shares, [])}\n"
    session = about | {"summary": plan.summary}
    answers = await run.gather(*(reviewed(run, reviewer(part.role, tree), part, session) for part in shares))
    raw = {part.role: answer for part, answer in zip(shares, answers, strict=True)}
    kept, ungrounded = await asyncio.to_thread(grounded, tree, raw)
    report = await run.ask(editor(), editor_input(tree.name, plan.summary, kept, raw))
    return f"{report.rstrip()}\n\n{coverage(tree, readable, shares, ungrounded)}\n"


async def reviewed(run: Run, agent: Agent[Findings], part: Share, session: Mapping[str, str]) -> list[Findings]:
    """Have `agent` review each batch of its share; no batches, no calls."""
    inputs = [batch_input(batch) for batch in part.batches]
    return await run.map(agent, inputs, concurrency=CONCURRENT_BATCHES, session={**session, "focus": part.focus})


def share(role: Role, assignment: Assignment, readable: Sequence[SourceFile]) -> Share:
    """Turn the planner's paths into batches of files that exist, in the order of the listing."""
    wanted: set[str] = set()
    unknown: list[str] = []
    for entry in assignment.paths:
        covered = _covered(entry, readable)
        wanted.update(covered)
        if not covered:
            unknown.append(entry)
    batches = _batches([file for file in readable if file.path in wanted])
    return Share(
        role=role,
        focus=assignment.focus,
        batches=tuple(batches[:MAX_BATCHES]),
        unknown=tuple(unknown),
        over=tuple(file for batch in batches[MAX_BATCHES:] for file in batch),
    )


def _covered(entry: str, readable: Sequence[SourceFile]) -> set[str]:
    """Return the paths that a file name or a directory name stands for."""
    path = entry.strip().removeprefix("./")
    directory = "" if path in {"", "."} else f"{path.rstrip('/')}/"
    return {file.path for file in readable if file.path == path or file.path.startswith(directory)}


def _batches(files: Sequence[SourceFile]) -> list[tuple[SourceFile, ...]]:
    batches: list[list[SourceFile]] = []
    size_bytes = 0
    for file in files:
        size_bytes += file.size_bytes
        if not batches or len(batches[-1]) >= BATCH_FILES or size_bytes > BATCH_BYTES:
            batches.append([])
            size_bytes = file.size_bytes
        batches[-1].append(file)
    return [tuple(batch) for batch in batches]


def batch_input(batch: Iterable[SourceFile]) -> str:
    """Return the message that gives a reviewer one batch."""
    lines = [f"- {file.path} ({file.size_bytes} bytes)" for file in batch]
    return "\n".join(["Review these files:", *lines])


def inventory(files: Sequence[SourceFile]) -> str:
    """Return one line that says how many files of which kind there are."""
    readable = [file for file in files if file.kind == "text"]
    kinds = Counter(PurePosixPath(file.path).suffix or PurePosixPath(file.path).name for file in readable)
    common = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))[:12]
    return f"{len(files)} files, {len(readable)} of them readable: " + ", ".join(f"{n} {kind}" for kind, n in common)


def grounded(
    tree: SourceTree, answers: Mapping[Role, Sequence[Findings]]
) -> tuple[list[tuple[Role, Finding]], list[tuple[Role, Finding]]]:
    """Split findings into those whose place exists, worst first, and those whose place does not."""
    kept: list[tuple[Role, Finding]] = []
    dropped: list[tuple[Role, Finding]] = []
    lengths: dict[str, int] = {}
    for role in ROLES:
        for finding in (finding for answer in answers[role] for finding in answer.findings):
            if finding.file not in lengths:
                lengths[finding.file] = tree.line_count(finding.file)
            exists = 1 <= finding.line <= lengths[finding.file]
            (kept if exists else dropped).append((role, finding))
    rank = {severity: index for index, severity in enumerate(SEVERITIES)}
    kept.sort(key=lambda item: (rank[item[1].severity], item[1].file, item[1].line, item[0]))
    return kept, dropped


def editor_input(
    project: str,
    summary: str,
    findings: Sequence[tuple[Role, Finding]],
    answers: Mapping[Role, Sequence[Findings]],
) -> str:
    """Return what the editor works from, as JSON with sorted keys; at most `MAX_EDITED_FINDINGS` findings."""
    shown = [{"reviewer": role, **finding.model_dump()} for role, finding in findings[:MAX_EDITED_FINDINGS]]
    unsettled = [f"{role}: {line}" for role in ROLES for answer in answers[role] for line in answer.not_checked]
    given = {
        "project": project,
        "summary": summary,
        "findings": shown,
        "left_out_for_length": len(findings) - len(shown),
        "not_checked": unsettled,
    }
    return json.dumps(given, ensure_ascii=False, indent=1, sort_keys=True)


def coverage(
    tree: SourceTree,
    readable: Sequence[SourceFile],
    shares: Sequence[Share],
    ungrounded: Sequence[tuple[Role, Finding]],
) -> str:
    """Return the last section of the report: what was read by whom, counted by the program and not by a model."""
    assigned = {file.path for part in shares for file in part.files}
    lines = [
        "## Coverage",
        "",
        f"Counted by the program: {len(assigned)} of {len(readable)} readable files were given to a reviewer.",
        "",
        "| reviewer | files | batches |",
        "|---|---|---|",
        *(f"| {part.role} | {len(part.files)} | {len(part.batches)} |" for part in shares),
        "",
    ]
    for part in shares:
        if part.over:
            lines.append(f"- {part.role}: {len(part.over)} more files were over the bound and not read")
        if part.unknown:
            named = ", ".join(f"`{path}`" for path in part.unknown)
            lines.append(f"- {part.role}: the plan named what cannot be read: {named}")
    for role, finding in ungrounded:
        lines.append(f"- {role}: a finding at `{finding.file}:{finding.line}` was dropped; there is no such line")
    if sentence := tree.skipped.sentence():
        lines.append(f"- {sentence}")
    return "\n".join(lines).rstrip()


def nothing_assigned(project: str, summary: str) -> str:
    """Return the head of a report on a project in which the planner found nothing for any reviewer."""
    return (
        f"# Review of {project}\n\nThe planner gave no file to a reviewer, so nothing was reviewed. It says: {summary}"
    )


def nothing_to_review(tree: SourceTree) -> str:
    """Return the report on a directory without a readable file; no model is asked."""
    found = f"It holds no readable text (files found: {len(tree.files)})." if tree.files else "It holds no files."
    return "\n".join([f"# Review of {tree.name}", "", f"There is nothing to review. {found}", tree.skipped.sentence()])
