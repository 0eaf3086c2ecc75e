"""How much of a prompt came from the cache: one assertion for a runtime and for whatever else tells what was billed.

It decides what counts: read tokens as a share of all prompt tokens. The first call of every prefix writes, so a share
of 1 cannot be reached and a share over two or three calls is low. Calls of unknown usage are in neither number.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, overload

from agentcache.accounting.summary import Summary
from agentcache.accounting.usage import CallRecord, Usage
from agentcache.emulator.statement import Statement, StatementLine
from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.runtime.results import RunResult
from agentcache.workflow.runtime import Runtime

Billed: TypeAlias = Iterable[CallRecord] | Summary | Mapping[str, JsonValue] | RunResult[object] | Statement
"""Calls of a ledger, a summary of them, the report JSON, the result of a run, or what an emulator has billed."""

_SHOWN_CALLS = 20


@dataclass(frozen=True, slots=True)
class _Part:
    """What one line of the failure shows, and who it belongs to."""

    name: str
    agent: str | None
    usage: Usage


@overload
def assert_read_share(source: Runtime, at_least: float = 0.6, agent: str | None = None) -> Awaitable[None]: ...
@overload
def assert_read_share(source: Billed, at_least: float = 0.6, agent: str | None = None) -> None: ...
def assert_read_share(
    source: Runtime | Billed, at_least: float = 0.6, agent: str | None = None
) -> Awaitable[None] | None:
    """Fail unless `at_least` this share (0 to 1) of the prompt was read from the cache; `agent` counts only its calls.

    With an open runtime, which has to ask its ledger, `await` it; with anything else it is done when it returns.

    Raises `AssertionError` showing who read how much, also when there are no calls to judge, and `SettingsError` for a
    share outside 0 to 1 or an agent where the source does not tell agents apart.
    """
    if not 0 <= at_least <= 1:
        raise SettingsError(f"at_least={at_least} is no share; give a number from 0 to 1")
    if isinstance(source, Runtime):
        return _assert_of_runtime(source, at_least, agent)
    _assert(_parts(source, agent), at_least, agent)
    return None


async def _assert_of_runtime(runtime: Runtime, at_least: float, agent: str | None) -> None:
    _assert(_parts(await runtime.ledger.calls(), agent), at_least, agent)


def _parts(source: Billed, agent: str | None) -> list[_Part]:
    if isinstance(source, (RunResult, Statement)) and agent is not None:
        kind = type(source).__name__
        raise SettingsError(f"a {kind} does not tell agents apart; give the runtime or its calls, or no agent")
    if isinstance(source, RunResult):
        return [_Part(f"run {source.run_id}", None, source.usage)]
    if isinstance(source, Statement):
        return [_part_of_line(line) for line in source.lines]
    if isinstance(source, Summary):
        source = source.to_json()
    if isinstance(source, Mapping):
        return [_part_of_row(row) for row in _rows(source)]
    return [_Part(f"call {call.call_id}", call.agent, call.usage) for call in source if call.usage is not None]


def _assert(parts: Sequence[_Part], at_least: float, agent: str | None) -> None:
    judged = [part for part in parts if agent is None or part.agent == agent]
    used = sum((part.usage for part in judged), Usage())
    whose = "the calls" if agent is None else f"agent {agent!r}"
    if used.read_share is None:
        known = sorted({part.agent for part in parts if part.agent is not None})
        raise AssertionError(f"no prompt tokens of {whose} to judge; there are calls of {known or 'nobody'}")
    if used.read_share < at_least:
        lines = "\n".join(_line(part) for part in judged[:_SHOWN_CALLS])
        more = f"\n  … and {len(judged) - _SHOWN_CALLS} more" if len(judged) > _SHOWN_CALLS else ""
        raise AssertionError(
            f"{whose} read {used.read_share:.0%} of the prompt from the cache, less than {at_least:.0%}: "
            f"{used.cache_read_tokens:,} of {used.input_tokens:,} tokens\n{lines}{more}"
        )


def _line(part: _Part) -> str:
    usage = part.usage
    whose = f" of {part.agent!r}" if part.agent is not None else ""
    return (
        f"  {part.name}{whose}: {usage.cache_read_tokens:,} read, {usage.cache_write_tokens:,} written, "
        f"{usage.uncached_input_tokens:,} uncached"
    )


def _rows(report: Mapping[str, JsonValue]) -> list[JsonObject]:
    rows, unattributed = report.get("rows"), report.get("unattributed")
    if not isinstance(rows, list):
        raise SettingsError(f"an object with the keys {sorted(report)} is no report: it has no `rows`")
    return [row for row in [*rows, unattributed] if isinstance(row, dict)]


def _part_of_row(row: JsonObject) -> _Part:
    agent, model = row.get("agent"), row.get("model")
    usage = Usage(
        uncached_input_tokens=_count(row, "uncached_input_tokens"),
        cache_write_5m_tokens=_count(row, "cache_write_5m_tokens"),
        cache_write_1h_tokens=_count(row, "cache_write_1h_tokens"),
        cache_read_tokens=_count(row, "cache_read_tokens"),
    )
    return _Part(str(model), agent if isinstance(agent, str) else None, usage)


def _part_of_line(line: StatementLine) -> _Part:
    usage = Usage(
        uncached_input_tokens=line.charge.plain_tokens,
        cache_write_5m_tokens=line.charge.write_5m_tokens,
        cache_write_1h_tokens=line.charge.write_1h_tokens,
        cache_read_tokens=line.charge.read_tokens,
    )
    return _Part(f"{line.model}, {line.message_id}", None, usage)


def _count(row: JsonObject, key: str) -> int:
    value = row.get(key)
    if not isinstance(value, int):
        raise SettingsError(f"a row of the report has no whole number {key!r}")
    return value
