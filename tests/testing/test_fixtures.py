"""The plugin as a user has it: named in a conftest, asked for by tests of any style."""

from __future__ import annotations

import subprocess
import sys

import anthropic  # noqa: F401  # loaded once here, or each of the inner runs would load it anew
import pytest

pytest_plugins = ["pytester"]

AGENT = """
from agentcache import Agent, Prompt

clerk = Agent(
    name="clerk",
    model="claude-sonnet-5-5",
    prompt=Prompt(static="Answer briefly. " * 300, session="{{ minute }}"),
)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A user's folder with the plugin and an agent in it."""
    pytester.makeconftest('pytest_plugins = ["agentcache.testing.fixtures"]')
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function")
    pytester.makepyfile(clerk=AGENT)
    return pytester


def outcome(suite: pytest.Pytester, *options: str, **expected: int) -> pytest.RunResult:
    # Not hypothesis: its plugin would be loaded anew and take longer than all the rest.
    result = suite.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-W", "error", *options)
    result.assert_outcomes(**expected)
    return result


def test_an_hour_passes_on_the_clock_of_the_test(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        from agentcache import Runtime
        from clerk import clerk

        async def test_entries_end(claude_emulator, virtual_clock):
            async with (
                claude_emulator() as emulator,
                Runtime("memory:", base_url=emulator.base_url, clock=virtual_clock.now) as runtime,
            ):
                for wait_s in (0, 60, 3600):
                    await virtual_clock.advance(wait_s)
                    await runtime.run(clerk, "Hello", session={"minute": "any"})
                calls = await runtime.ledger.calls()
            assert [call.usage.cache_read_tokens > 0 for call in calls] == [False, True, False]
            assert [call.sent_at - calls[0].sent_at for call in calls] == [0, 60, 3660]
            assert emulator.clock is virtual_clock
            assert len(emulator.requests) == len(emulator.statement.lines) == 3
        """
    )
    outcome(suite, passed=1)


def test_no_async_plugin_is_needed(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import asyncio

        from agentcache import Runtime
        from clerk import clerk

        def test_plainly(claude_emulator):
            async def conversation():
                async with claude_emulator(["Hello."]) as emulator:
                    async with Runtime("memory:", base_url=emulator.base_url) as runtime:
                        return (await runtime.run(clerk, "Hi", session={"minute": "any"})).output

            assert asyncio.run(conversation()) == "Hello."
        """
    )
    outcome(suite, "-p", "no:asyncio", "-W", "ignore::pytest.PytestConfigWarning", passed=1)


def test_calls_and_replies_that_do_not_meet_fail_the_test(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        from agentcache import Runtime
        from clerk import clerk

        async def ask(claude_emulator, replies, times):
            async with claude_emulator(replies) as emulator, Runtime("memory:", base_url=emulator.base_url) as runtime:
                for _ in range(times):
                    await runtime.run(clerk, "Hi", session={"minute": "any"})

        async def test_a_reply_too_many(claude_emulator):
            await ask(claude_emulator, ["one", "two"], 1)

        async def test_a_call_too_many(claude_emulator):
            await ask(claude_emulator, ["one"], 2)
        """
    )
    result = outcome(suite, failed=2)
    result.stdout.fnmatch_lines(["*UnusedReply: 1 of 2 scripted replies*", "*UnexpectedCall: call 2 has no reply*"])


def test_the_guard_watches_every_emulator_of_a_test_that_asks_for_it(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest
        from agentcache import Runtime
        from clerk import clerk

        async def ask(claude_emulator):
            async with claude_emulator() as emulator, Runtime("memory:", base_url=emulator.base_url) as runtime:
                for minute in ("12:00", "12:01"):
                    await runtime.run(clerk, "Hi", session={"minute": minute}, conversation="c")

        async def test_unguarded(claude_emulator):
            await ask(claude_emulator)

        async def test_guarded(claude_emulator, prefix_guard):
            await ask(claude_emulator)

        async def test_on_purpose(claude_emulator, prefix_guard):
            prefix_guard.allow_move(reason="the minute is part of the session", where="system[1]")
            await ask(claude_emulator)

        async def test_a_permission_too_many(claude_emulator, prefix_guard):
            prefix_guard.allow_move(reason="the minute is part of the session", where="system[1]")
            prefix_guard.allow_move(reason="tools come and go", where="tools")
            await ask(claude_emulator)

        class TestSuite:
            @pytest.fixture(autouse=True)
            def guarded(self, prefix_guard):
                pass

            async def test_guarded_as_all_are(self, claude_emulator):
                await ask(claude_emulator)
        """
    )
    result = outcome(suite, passed=2, failed=3)
    result.stdout.fnmatch_lines(["*system[[]1] moved in request 2*", "*'tools come and go' never happened*"])


def test_the_helpers_need_no_pytest() -> None:
    program = "import sys, agentcache.testing; print(*sorted(m for m in sys.modules if 'pytest' in m))"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert found.strip() == ""


def test_public_names_are_there_and_sorted() -> None:
    import agentcache.testing as room

    assert sorted(room.__all__, key=str.lower) == room.__all__
    assert [name for name in room.__all__ if not hasattr(room, name)] == []
