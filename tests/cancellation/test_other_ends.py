"""Cancellations that others bring about: a time limit, a sibling that failed, a workflow that goes on without a run."""

from __future__ import annotations

import asyncio
from typing import Any

from agentcache import Limits, Run, workflow
from tests.cancellation.scenarios import CLERK, HANDS, works
from tests.cancellation.stage import PATIENCE_S, SPREAD, Scenario, assert_books_in_order, staged
from tests.cancellation.suspensions import at, struck

TOOLS = Scenario(name="tools", work=lambda on, case: on.runtime.run(HANDS, case), replies=works)


async def test_a_time_limit_around_a_run_ends_as_a_time_limit(tmp_path, chosen):
    async with staged(TOOLS, tmp_path) as on:
        scopes: list[asyncio.Timeout] = []

        async def bounded() -> Any:
            async with asyncio.timeout(None) as scope:
                scopes.append(scope)
                return await on.runtime.run(HANDS, "go")

        whole = await struck(bounded(), at())
        for number in chosen(whole.suspensions - SPREAD, whole.suspensions):
            ended = await struck(bounded(), at(number), strike=lambda task: scopes[-1].reschedule(0.0))
            await on.quiet()
            assert isinstance(ended.error, TimeoutError) or not ended.blows, (number, ended)
            assert not ended.left
        await assert_books_in_order(on, 0, 0, 0)


async def test_a_sibling_that_fails_is_the_only_error_of_its_group(tmp_path, chosen):
    async with staged(TOOLS, tmp_path) as on:

        async def grouped(fails: asyncio.Event) -> None:
            async def fail() -> None:
                await fails.wait()
                raise ValueError("the sibling")

            async with asyncio.TaskGroup() as group:
                running = group.create_task(on.runtime.run(HANDS, "go"))
                running.add_done_callback(lambda _: fails.set())  # where it is not struck, so that the group ends
                group.create_task(fail())

        whole = await struck(grouped(asyncio.Event()), at())
        for number in chosen(whole.suspensions - SPREAD, whole.suspensions):
            fails = asyncio.Event()

            def strike(_: object, fails: asyncio.Event = fails) -> None:
                fails.set()

            ended = await struck(grouped(fails), at(number), strike=strike)
            await on.quiet()
            assert isinstance(ended.error, ExceptionGroup), (number, ended)
            assert [str(error) for error in ended.error.exceptions] == ["the sibling"]
            assert not ended.left
        await assert_books_in_order(on, 0, 0, 0)


async def test_a_cancelled_call_gives_back_what_it_had_of_its_runs_budget(tmp_path, chosen):
    """Room is for one call at a time and a cancelled one counts at its worst, so what is not given back is missed."""
    scenario = Scenario(name="budget", work=lambda on, case: on.runtime.run(CLERK, case), replies=works)

    async with staged(scenario, tmp_path) as on:

        @workflow
        async def resilient(run: Run, numbers: tuple[int, ...]) -> int:
            async def three() -> list[str]:
                return list(await run.gather(*(run.ask(CLERK, f"{numbers} {each}") for each in range(3))))

            ended = await struck(three(), at(*numbers))
            assert ended.cancelled or not ended.blows
            assert not run.meter.held.tokens
            async with asyncio.timeout(PATIENCE_S):
                assert await run.ask(CLERK, f"{numbers} again") == "all is done"
            return ended.suspensions

        need = 10_000
        bounded = resilient.within(Limits(tokens=5 * need))
        suspensions = (await on.runtime.run(bounded, ())).output
        for number in chosen(suspensions - SPREAD, suspensions):
            await on.runtime.run(bounded, (number,))
        await on.quiet()
        await assert_books_in_order(on, 0, 0, 0)
