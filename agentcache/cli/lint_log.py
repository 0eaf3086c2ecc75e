"""What a request log shows of the mistakes that the linter knows, as findings in its form.

Calls are compared as `explain` compares them; each request is also looked at alone. What recorded sessions without
requests lost is told where its cause has a rule.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import cast

from agentcache.accounting.explaining.explanation import explain_calls
from agentcache.accounting.explaining.logged_calls import LoggedCall
from agentcache.accounting.explaining.suspects import Explanation
from agentcache.accounting.mistakes import MISTAKES
from agentcache.accounting.pricing import plain_usd
from agentcache.cli.explain_recorded import is_recorded, recorded_findings
from agentcache.lint.finding import Confidence, Finding, Place
from agentcache.lint.request_markers import MarkerFault, marker_faults
from agentcache.prompt.canonical import JsonObject
from agentcache.simulate.explained_logs import logged_calls


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFinding(Finding):
    """A finding on a request log; `place` is the log's line, or the template's where the log knows it.

    call: index in the log (a call's id in recorded sessions), of the first that it hit. calls: how many it hit.
    where, cause: as `explain` says them. lost_tokens, lost_usd: of all of these, `None` where the log does not tell.
    """

    call: int | str | None
    where: str | None
    cause: str
    calls: int = 1
    lost_tokens: int | None = None
    lost_usd: Decimal | None = None

    def to_json(self) -> JsonObject:
        """Return the finding JSON with what `explain` adds to it."""
        return {
            **Finding.to_json(self),
            "call": self.call,
            "calls": self.calls,
            "where": self.where,
            "cause": self.cause,
            "lost_tokens": self.lost_tokens,
            "lost_usd": None if self.lost_usd is None else plain_usd(self.lost_usd),
        }


def log_findings(path: str | os.PathLike[str]) -> tuple[LogFinding, ...]:
    """Return what a request log, a trace file, a Claude Code session or a directory of them shows.

    Sorted by place and code. Raises `TargetError` for what cannot be read and for a log without calls.
    """
    log = Path(path)
    if is_recorded(log):
        found = list(_recorded(log))
    else:
        calls = logged_calls(log)
        told = [_explained(item, log) for item in explain_calls(calls)]
        found = [*told, *_marked(calls, told, log)]
    return tuple(sorted(found, key=lambda item: (item.place.path, item.place.line or 0, item.code)))


def _explained(item: Explanation, log: Path) -> LogFinding:
    change = item.change
    place = Place(path=change.template, line=change.line) if change else Place(path=str(log), line=item.call + 1)
    return LogFinding(
        code=item.code,
        name=item.name,
        severity=item.severity,
        confidence=Confidence.LIKELY,
        place=place,
        message=item.message,
        fix=item.fix,
        agent=item.agent,
        layer=item.layer,
        call=item.call,
        where=item.where,
        cause=item.cause,
        calls=item.calls,
        lost_tokens=item.lost_tokens,
        lost_usd=item.lost_usd,
    )


def _marked(calls: Sequence[LoggedCall], told: Iterable[LogFinding], log: Path) -> Iterator[LogFinding]:
    """Yield the faults of single requests' markers, each at the first call of its agent that has it."""
    known = {(finding.code, finding.agent) for finding in told}
    hit: dict[tuple[str | None, str, str], list[tuple[LoggedCall, MarkerFault]]] = {}
    for call in calls:
        for fault in marker_faults(call):
            if (fault.code, call.agent) not in known:
                hit.setdefault((call.agent, fault.code, fault.cause), []).append((call, fault))
    for hits in hit.values():
        call, fault = min(hits, key=lambda each: each[0].index)
        mistake = MISTAKES[fault.code]
        yield LogFinding(
            code=fault.code,
            name=mistake.name,
            severity=mistake.severity,
            confidence=Confidence.CERTAIN if fault.code == "PC049" else Confidence.LIKELY,
            place=Place(path=str(log), line=call.index + 1),
            message=fault.message,
            fix=mistake.fix,
            agent=call.agent,
            call=call.index,
            where=fault.where,
            cause=fault.cause,
            calls=len({each.index for each, _ in hits}),
        )


def _recorded(log: Path) -> Iterator[LogFinding]:
    for item in recorded_findings(log).findings:
        if item["code"] is None:
            continue  # nothing that a rule is about; `explain` tells it
        code, lost = str(item["code"]), item["lost_usd"]
        yield LogFinding(
            code=code,
            name=MISTAKES[code].name,
            severity=MISTAKES[code].severity,
            confidence=Confidence.LIKELY,
            place=Place(path=str(item["path"])),
            message=str(item["message"]),
            fix=str(item["fix"]),
            agent=cast("str | None", item["agent"]),
            call=cast("str | None", item["call"]),
            where=cast("str | None", item["where"]),
            cause=str(item["cause"]),
            lost_tokens=cast("int | None", item["lost_tokens"]),
            lost_usd=None if lost is None else Decimal(str(lost)),
        )
