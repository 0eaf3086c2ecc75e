"""Lints agents: examines each one, asks every rule, and sorts what they say by place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.codes import UNREADABLE
from agentcache.lint.examination import Examination
from agentcache.lint.finding import Confidence, Finding, Place
from agentcache.lint.fixes.table import with_fixes
from agentcache.lint.rules import RULES
from agentcache.lint.rules.rule import Rule
from agentcache.lint.sharing import team_findings
from agentcache.lint.syntax import Problem


def lint(agents: Sequence[AgentSources], rules: Mapping[str, Rule] = RULES) -> tuple[Finding, ...]:
    """Return what the rules find in these agents, each finding once, sorted by path, line, column and code.

    Templates that several agents share are looked at with each of them; what is found alike is said once.
    """
    findings: dict[tuple[str, Place], Finding] = {}
    examinations = [Examination(sources) for sources in agents]
    for examination in examinations:
        for finding in _findings(examination, rules):
            findings.setdefault((finding.code, finding.place), finding)
    for finding in team_findings(examinations):
        if finding.code in rules:
            findings.setdefault((finding.code, finding.place), finding)
    return tuple(sorted(with_fixes(findings.values(), examinations), key=_in_order))


def _findings(examination: Examination, rules: Mapping[str, Rule]) -> Iterator[Finding]:
    yield from _unreadable(examination)
    yield from _unreadable_tools(examination)
    yield from _unfinished(examination)
    for rule in rules.values():
        if rule.check is not None:
            yield from rule.check(examination)


def _unreadable(examination: Examination) -> Iterator[Finding]:
    for parsed in examination.parsed.values():
        if parsed.problem is not None:
            yield Finding(
                code=UNREADABLE,
                name="unreadable-template",
                severity="error",
                confidence=Confidence.CERTAIN,
                place=Place(path=parsed.file.path, line=parsed.problem.line),
                message=f"this template does not parse: {parsed.problem.message}",
                fix="mend the syntax; nothing else in this file was looked at",
                agent=examination.sources.agent,
            )


def _unreadable_tools(examination: Examination) -> Iterator[Finding]:
    problem, file = examination.tools, examination.sources.tools
    if isinstance(problem, Problem) and file is not None:
        yield Finding(
            code=UNREADABLE,
            name="unreadable-template",
            severity="error",
            confidence=Confidence.CERTAIN,
            place=Place(path=file.path, line=problem.line),
            message=f"the tools cannot be read: {problem.message}",
            fix="mend the JSON; nothing else in this file was looked at",
            agent=examination.sources.agent,
        )


def _unfinished(examination: Examination) -> Iterator[Finding]:
    for file in examination.flow.unfinished:
        yield Finding(
            code=UNREADABLE,
            name="unreadable-template",
            severity="error",
            confidence=Confidence.CERTAIN,
            place=Place(path=file.path),
            message="this template makes more work than any prompt does; values were not followed to its end",
            fix="nest loops, macros, includes and expressions less",
            agent=examination.sources.agent,
            layer=file.layer.value,
        )


def _in_order(finding: Finding) -> tuple[str, int, int, str]:
    place = finding.place
    return place.path, place.line or 0, place.column or 0, finding.code
