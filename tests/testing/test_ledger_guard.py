"""What the guard of the ledger lets pass, and what it names: rows and lines are those of real runs, then tampered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from agentcache import Agent, CallError, Prompt, Runtime
from agentcache.accounting.pricing import price_record
from agentcache.accounting.usage import CallRecord, Usage
from agentcache.emulator.statement import StatementLine
from agentcache.errors import SettingsError
from agentcache.testing import Emulator, Fault, LedgerGuard, ScheduledFaults, assert_ledger_equals_statement, emulated
from agentcache.testing.ledger_audit import audit

CLERK = Agent(name="clerk", model="claude-sonnet-5-5", prompt=Prompt(static="Answer briefly. " * 400))


@asynccontextmanager
async def asked(times: int, *, faults: list[Fault | None] | None = None) -> AsyncIterator[tuple[Runtime, Emulator]]:
    async with (
        emulated(faults=ScheduledFaults(faults or [])) as emulator,
        Runtime("memory:", base_url=emulator.base_url, sleep=_at_once) as runtime,
    ):
        for number in range(times):
            await runtime.run(CLERK, f"Question {number}?")
        yield runtime, emulator


async def _at_once(seconds: float) -> None:
    await asyncio.sleep(0)


async def rows_and_lines() -> tuple[list[CallRecord], list[StatementLine]]:
    async with asked(3) as (runtime, emulator):
        return await runtime.ledger.calls(), list(emulator.statement.lines)


async def test_calls_that_were_billed_as_kept_are_equal():
    rows, lines = await rows_and_lines()
    assert assert_ledger_equals_statement(rows, lines).equal == 3


async def test_a_broken_reply_is_told_as_far_as_it_came_and_the_refused_one_is_free():
    faults: list[Fault | None] = [Fault(kind="cut"), Fault(kind="529"), Fault(kind="reset")]
    async with asked(1, faults=faults) as (runtime, emulator):
        found = assert_ledger_equals_statement(await runtime.ledger.calls(), emulator.statement)
    assert (found.equal, found.broken_off, found.unknown) == (1, 1, 0)


def _more_output(row: CallRecord) -> CallRecord:
    return price_record(replace(row, parts=(), usage=(row.usage or Usage()) + Usage(output_tokens=1)))


def _written_for_an_hour(row: CallRecord) -> CallRecord:
    usage = row.usage or Usage()
    moved = replace(usage, cache_write_5m_tokens=0, cache_write_1h_tokens=usage.cache_write_5m_tokens)
    return price_record(replace(row, parts=(), usage=moved))


def _dearer(row: CallRecord) -> CallRecord:
    return replace(row, cost_usd=(row.cost_usd or 0) + Decimal("0.000001"))


def _without_usage(row: CallRecord) -> CallRecord:
    return replace(row, usage=None, parts=(), cost_usd=None, counterfactual_usd=None)


def _broken_and_more(row: CallRecord) -> CallRecord:
    return replace(_more_output(row), error="ReplyBroken: cut")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_more_output, "billed Usage"),
        (_written_for_an_hour, "cache_write_1h_tokens"),
        (_dearer, "its tokens cost"),
        (_without_usage, "knows its message and not its usage"),
        (_broken_and_more, "billed Usage"),
        (lambda row: replace(row, message_id="msg_other"), "nobody billed"),
        (lambda row: replace(row, message_id=None), "nobody billed"),
    ],
)
async def test_one_row_that_differs_is_named(change: Callable[[CallRecord], CallRecord], words: str):
    rows, lines = await rows_and_lines()
    with pytest.raises(AssertionError, match=words):
        assert_ledger_equals_statement([change(rows[0]), *rows[1:]], lines)


async def test_a_line_that_nobody_was_told_has_a_row_that_does_not_know():
    rows, lines = await rows_and_lines()
    untold = [replace(lines[0], usage_told=False), *lines[1:]]
    assert audit([_without_usage(rows[0]), *rows[1:]], untold).unknown == 1
    assert "knows its message and not its usage" in audit([_without_usage(rows[0]), *rows[1:]], lines).problems[0]


async def test_a_row_too_few_and_a_row_twice_are_named():
    rows, lines = await rows_and_lines()
    with pytest.raises(AssertionError, match="billed, and no row"):
        assert_ledger_equals_statement(rows[1:], lines)
    with pytest.raises(AssertionError, match="billed once, and 2 rows"):
        assert_ledger_equals_statement([*rows, replace(rows[0], call_id="call_again")], lines)


async def test_a_line_is_accounted_for_by_a_row_that_says_it_does_not_know_and_by_no_more_than_one():
    rows, lines = await rows_and_lines()
    lost = replace(_without_usage(rows[0]), message_id=None, error="cancelled")
    assert audit([lost, *rows[1:]], lines).unknown == 1
    assert audit([lost, *rows[1:]], lines).problems == ()
    assert len(audit([lost, *rows[2:]], lines).problems) == 3  # both lines, and why not even one is forgiven


async def watched(tamper: Callable[[Runtime], object] = lambda runtime: None) -> LedgerGuard:
    guard = LedgerGuard()
    with guard.watching():
        async with asked(2) as (runtime, _):
            tamper(runtime)
    return guard


async def test_the_guard_sees_what_a_test_opened_and_finds_a_lost_row(ledger_guard: LedgerGuard):
    def lose_one(runtime: Runtime) -> None:
        rows: dict[str, CallRecord] = runtime.ledger._calls  # type: ignore[attr-defined]
        rows.popitem()

    assert (await watched()).check().equal == 2
    guard = await watched(lose_one)
    with pytest.raises(AssertionError, match=r"billed, and no row(.|\n)*the result says"):
        guard.check()
    guard.excuse("the test lost it on purpose")
    assert guard.check().equal == 1
    ledger_guard.excuse("the guard around this test sees the lost row too")


async def test_an_excuse_needs_a_reason():
    with pytest.raises(SettingsError, match="for a reason"):
        LedgerGuard().excuse(" ")


async def test_what_was_billed_before_a_reset_and_what_two_runtimes_asked_for_is_counted():
    guard = LedgerGuard()
    with guard.watching():
        async with emulated() as emulator:
            for _ in range(2):
                async with Runtime("memory:", base_url=emulator.base_url) as runtime:
                    await runtime.run(CLERK, "Hello")
                emulator.reset()
    assert guard.check().equal == 2


async def test_a_cancelled_call_is_unknown_or_was_never_billed():
    guard = LedgerGuard()
    with guard.watching():
        async with (
            emulated(lambda request: _never()) as emulator,
            Runtime("memory:", base_url=emulator.base_url) as runtime,
        ):
            running = asyncio.create_task(runtime.run(CLERK, "Hello"))
            while not emulator.requests:  # noqa: ASYNC110  # the emulator announces nothing
                await asyncio.sleep(0.005)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert guard.check().problems == ()


async def _never() -> str:
    await asyncio.Event().wait()
    return "never"


async def test_refused_calls_are_rows_without_a_line():
    guard = LedgerGuard()
    with guard.watching(), pytest.raises(CallError):
        async with asked(1, faults=[Fault(kind="529")] * 10):
            pass
    found = guard.check()
    assert (found.equal, found.broken_off, found.unknown) == (0, 0, 0)
