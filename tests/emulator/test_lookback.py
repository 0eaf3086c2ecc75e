"""Which earlier writes a breakpoint finds (section 2.3)."""

from __future__ import annotations

from agentcache.emulator.cache_settings import CacheSettings
from tests.emulator.account import Account, Body, assistant, call_tool, mark, request, result, text, tool, user


def blocks(count: int, *marked: int) -> Body:
    """Return a user message of `count` hundred-token blocks, those with the given 1-based numbers marked."""
    return user(*(text(100, f"b{number}", ttl="5m" if number in marked else None) for number in range(1, count + 1)))


def small_minimum() -> Account:
    return Account(CacheSettings(minimum_tokens={"claude-sonnet-4-6": 0}))


def test_the_documentation_s_example_of_three_turns() -> None:
    account = small_minimum()
    assert account.charge(request(blocks(10, 10))) == (0, 1000, 0, 0)
    assert account.charge(request(blocks(15, 15)), now=1) == (0, 500, 1000, 0)
    one_marker = small_minimum()
    one_marker.charge(request(blocks(15, 15)))
    assert one_marker.charge(request(blocks(35, 35)), now=2) == (0, 3500, 0, 0), "tests 35 to 16 and misses 15 by one"
    assert account.charge(request(blocks(35, 15, 35)), now=2) == (0, 2000, 1500, 0), "a marker on 15 opens a window"


def test_the_walk_finds_writes_and_never_merely_stable_content() -> None:
    account = small_minimum()
    account.charge(request(blocks(10, 10)))
    assert account.charge(request(blocks(5, 5)), now=1) == (0, 500, 0, 0), "nothing was written at block 5"


def test_the_walk_crosses_the_borders_of_levels() -> None:
    account = Account()
    system = [text(1500, "a"), text(1500, "b")]
    account.charge(request(user(text(9)), system=[system[0], mark(system[1])]))
    asked = request(user(text(10, "q1"), text(10, "q2", ttl="5m")), system=system)
    assert account.charge(asked, now=1) == (0, 20, 3000, 0)


def test_the_longest_hit_of_the_last_breakpoint_wins() -> None:
    account = small_minimum()
    account.charge(request(blocks(4, 4)))
    account.charge(request(blocks(8, 8)), now=1)
    assert account.charge(request(blocks(10, 2, 10)), now=2) == (0, 200, 800, 0)


def tool_turns(count: int, *, ttl: str | None = None) -> list[Body]:
    """Return an assistant message of `count` calls and the user message with their results, the last one marked."""
    calls = assistant(*(call_tool(number) for number in range(count)))
    results = [result(number) for number in range(count - 1)]
    return [calls, user(*results, result(count - 1, ttl=ttl))]


def test_a_run_of_tool_results_is_one_position_on_the_claude_api() -> None:
    account = Account()
    start = user(text(2000, ttl="5m"))
    tools = [tool("look")]
    account.charge(request(start, tools=tools))
    grown = request(user(text(2000)), *tool_turns(30, ttl="5m"), tools=tools)
    _, written, read, _ = account.charge(grown, now=1)
    assert (written, read) == (60, 2001)


def test_elsewhere_each_tool_result_is_a_position_of_its_own() -> None:
    account = Account(CacheSettings(platform="bedrock"))
    tools = [tool("look")]
    account.charge(request(user(text(2000, ttl="5m")), tools=tools))
    grown = request(user(text(2000)), *tool_turns(30, ttl="5m"), tools=tools)
    assert account.charge(grown, now=1) == (0, 2061, 0, 0)


def test_collapsing_can_be_switched_whatever_the_platform() -> None:
    account = Account(CacheSettings(platform="bedrock", collapse_tool_runs=True))
    tools = [tool("look")]
    account.charge(request(user(text(2000, ttl="5m")), tools=tools))
    grown = request(user(text(2000)), *tool_turns(30, ttl="5m"), tools=tools)
    assert account.charge(grown, now=1)[2] == 2001


def test_calls_and_results_are_runs_of_their_own() -> None:
    account = Account()
    tools = [tool("look")]
    account.charge(request(user(text(2000, ttl="5m")), tools=tools))
    turns: list[Body] = []
    for number in range(10):
        turns += [assistant(call_tool(number)), user(result(number, ttl="5m" if number == 9 else None))]
    assert account.charge(request(user(text(2000)), *turns, tools=tools), now=1)[2] == 0, "20 new positions"


def inside_a_run(settings: CacheSettings) -> int:
    """Write in the middle of a run, then ask from behind it; return what is read."""
    account = Account(settings)
    tools = [tool("look")]
    calls = assistant(*(call_tool(number) for number in range(3)))
    start = user(text(2000))
    written = user(result(0), result(1, ttl="5m"), result(2))
    account.charge(request(start, calls, written, tools=tools))
    plain = user(result(0), result(1), result(2), text(5, ttl="5m"))
    return account.charge(request(start, calls, plain, tools=tools), now=1)[2]


def test_whether_an_entry_inside_a_run_is_found_is_a_setting() -> None:
    assert inside_a_run(CacheSettings()) == 0
    assert inside_a_run(CacheSettings(test_inside_runs=True)) == 2006


def test_a_marker_inside_a_run_always_finds_its_own_entry() -> None:
    account = Account()
    tools = [tool("look")]
    calls = assistant(call_tool(0), call_tool(1))
    body = request(user(text(2000)), calls, user(result(0, ttl="5m"), result(1)), tools=tools)
    account.charge(body)
    assert account.charge(body, now=1)[2] == 2004


def test_a_hit_rewrites_a_lower_marker_whose_entry_has_expired_free_of_charge() -> None:
    account = Account()
    system = [text(2000, ttl="5m")]
    account.charge(request(user(text(2000, "m", ttl="5m")), system=system))
    for now in (200, 400, 600):
        account.charge(request(user(text(2000, "m", ttl="5m")), system=[text(2000)]), now=now)
    assert account.charge(request(user(text(2000, "m", ttl="5m")), system=system), now=610)[1] == 0
    assert account.charge(request(user(text(9, "n")), system=system), now=620) == (0, 0, 2000, 9)


def test_workspaces_share_nothing_where_the_platform_isolates_them() -> None:
    body = request(user(text(2000, ttl="5m")))
    here, there = {"anthropic-workspace-id": "wrkspc_a"}, {"anthropic-workspace-id": "wrkspc_b"}
    account = Account()
    account.charge(body, headers=here)
    assert account.charge(body, now=1, headers=there) == (0, 2000, 0, 0)
    shared = Account(CacheSettings(platform="google_cloud"))
    shared.charge(body, headers=here)
    assert shared.charge(body, now=1, headers=there) == (0, 0, 2000, 0)
