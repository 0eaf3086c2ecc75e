"""One tool, called: threads, time limits, and what becomes of everything that can go wrong."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

from pydantic import BaseModel, field_validator

from agentcache.errors import ToolArgumentsInvalid, ToolFailed
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.tool_calls import call_tool
from agentcache.runtime.tools import Tool, tool

CUSTOMER: ContextVar[str] = ContextVar("CUSTOMER")


@tool
async def find_order(order_id: str, limit: int = 10) -> str:
    """Look an order up by its number."""
    return f"order {order_id}, {limit}"


@tool
async def wait_for(turns: int) -> str:
    """Wait for some turns of the event loop."""
    for _ in range(turns):
        await asyncio.sleep(0)
    return f"waited {turns}"


@tool
async def wait_forever() -> str:
    """Wait until cancelled."""
    await asyncio.Event().wait()
    return "never"


async def answer(declared: Tool, arguments: JsonObject) -> tuple[str, str]:
    result = await call_tool(declared, arguments)
    assert isinstance(result.content, str)
    return result.outcome, result.content


async def test_a_plain_function_runs_in_a_thread_with_its_context():
    @tool
    def who() -> str:
        """Tell who asks, and where."""
        return (
            f"{CUSTOMER.get()} in {'the loop' if threading.current_thread() is threading.main_thread() else 'a thread'}"
        )

    CUSTOMER.set("Ana")
    assert await answer(who, {}) == ("ok", "Ana in a thread")


async def test_a_plain_function_may_return_an_awaitable():
    @tool
    def later(x: int) -> object:
        """Return a coroutine."""
        return wait_for(x)

    assert await answer(later, {"x": 1}) == ("ok", "waited 1")


async def test_wrong_arguments_are_told_field_by_field():
    outcome, text = await answer(find_order, {"limit": "many", "colour": "red"})
    assert outcome == "invalid_arguments"
    assert text == (
        "The arguments do not fit the tool find_order:\n"
        "- order_id: Field required\n"
        '- limit: Input should be a valid integer, unable to parse string as an integer (given: "many")\n'
        "- colour: Extra inputs are not permitted\n"
        "Call it again with corrected arguments."
    )


async def test_a_nested_wrong_argument_is_found_by_its_path():
    class Line(BaseModel):
        article: str

    @tool
    def order(lines: list[Line]) -> str:
        """Order."""
        return str(lines)

    _, text = await answer(order, {"lines": [{"article": "x"}, {"article": 3}]})
    assert "- lines[1].article: Input should be a valid string (given: 3)" in text


async def test_a_raw_tool_says_itself_that_arguments_do_not_fit():
    def forward(arguments: JsonObject) -> str:
        raise ToolArgumentsInvalid(f"city: {arguments['city']} is no city")

    raw = Tool(name="weather", description="Weather.", input_schema={"type": "object"}, function=forward)
    outcome, text = await answer(raw, {"city": "x"})
    assert (outcome, "city: x is no city" in text) == ("invalid_arguments", True)


async def test_what_a_tool_raises_is_told_with_type_and_message():
    @tool
    async def fail() -> str:
        """Fail."""
        raise KeyError("17")

    result = await call_tool(fail, {})
    assert (result.outcome, result.content) == ("error", "KeyError: '17'")
    assert isinstance(result.error, KeyError)


async def test_what_a_tool_says_to_the_model_stands_alone():
    @tool
    def refuse() -> str:
        """Refuse."""
        raise ToolFailed("The shop is closed on Sundays.")

    assert await answer(refuse, {}) == ("error", "The shop is closed on Sundays.")


async def test_a_validation_that_fails_inside_the_tool_is_no_matter_of_its_arguments():
    class Strict(BaseModel):
        x: int

    @tool
    def parse(text: str) -> str:
        """Parse."""
        return str(Strict.model_validate_json(text))

    assert (await answer(parse, {"text": "{}"}))[0] == "error"


async def test_a_validator_that_breaks_is_an_error_of_the_tool():
    class Broken(BaseModel):
        x: int

        @field_validator("x")
        @classmethod
        def look_up(cls, value: int) -> int:
            return [1][value]

    @tool
    def use_it(broken: Broken) -> str:
        """Use it."""
        return str(broken)

    assert await answer(use_it, {"broken": {"x": 5}}) == ("error", "IndexError: list index out of range")


async def test_a_stop_iteration_in_a_thread_ends_the_call():
    @tool
    def first(items: list[int]) -> int:
        """Return the first item."""
        return next(iter(items))

    async with asyncio.timeout(5):
        outcome, text = await answer(first, {"items": []})
    assert (outcome, text) == ("error", "RuntimeError: StopIteration: an iterator had no next value")


async def test_a_tool_over_its_time_is_given_up():
    slow = tool(wait_forever.original, name="slow", timeout="10ms")
    assert await answer(slow, {}) == ("timeout", "slow gave no result within 0.01 seconds.")


async def test_the_callers_time_limit_holds_for_tools_without_their_own():
    assert (await call_tool(wait_forever, {}, timeout_s=0.01)).outcome == "timeout"
    patient = tool(wait_for.original, timeout="60s")
    assert (await call_tool(patient, {"turns": 1}, timeout_s=1e-9)).outcome == "ok"


async def test_nobody_waits_for_a_thread_whose_time_is_up():
    release = threading.Event()

    @tool(timeout="10ms")
    def stuck() -> str:
        """Hang."""
        release.wait(30)
        return "late"

    try:
        assert (await answer(stuck, {}))[0] == "timeout"
    finally:
        release.set()


async def test_a_tools_own_timeout_error_is_an_error():
    @tool(timeout="60s")
    async def connect() -> str:
        """Connect."""
        raise TimeoutError("no answer from the shop")

    assert await answer(connect, {}) == ("error", "TimeoutError: no answer from the shop")
