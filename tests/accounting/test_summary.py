"""The ledger summed up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.accounting.pricing import price_record
from agentcache.accounting.selection import Selection
from agentcache.accounting.summary import Summary, summarise
from agentcache.accounting.usage import BilledPart, CallRecord, RunRecord, ToolCallRecord, Usage
from agentcache.prompt.canonical import JsonObject

OPUS, SONNET = "claude-opus-5", "claude-sonnet-5-5"
CALL = CallRecord(
    call_id="call_1",
    run_id="run_1",
    agent="support",
    model=OPUS,
    sent_at=1_793_000_000.0,
    usage=Usage(uncached_input_tokens=1000, cache_read_tokens=3000, output_tokens=100),
)
TOOL_CALL = ToolCallRecord(
    tool_call_id="tool_1",
    run_id="run_1",
    agent="support",
    call_id="call_1",
    tool="find_order",
    started_at=1.0,
    ended_at=2.0,
    outcome="ok",
)
ROW_FIELDS = [
    "agent",
    "model",
    "calls",
    "uncached_input_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
    "output_tokens",
    "cost_usd",
    "counterfactual_usd",
    "saved_usd",
    "read_share",
    "wasted_write_tokens",
    "memo_hits",
    "tool_calls",
    "errors",
]


def calls(*changes) -> list[CallRecord]:
    """Return a priced call for each set of changed fields, with ids of their own."""
    return [price_record(replace(CALL, call_id=f"call_{n}", **change)) for n, change in enumerate(changes)]


def told_rows(summary: Summary) -> list[JsonObject]:
    rows = summary.to_json()["rows"]
    assert isinstance(rows, list)
    return [row for row in rows if isinstance(row, dict)]


def names(summary: Summary) -> list[tuple[str | None, str | None]]:
    return [(row.agent, row.model) for row in summary.rows]


def test_a_row_has_exactly_the_fields_of_the_design_in_their_order():
    summary = summarise(calls({}))

    assert list(summary.to_json()) == ["rows", "total", "unattributed", "waiting"]
    assert [list(row) for row in told_rows(summary)] == [ROW_FIELDS]
    assert list(summary.total.to_json()) == list(summary.unattributed.to_json()) == ROW_FIELDS


def test_a_row_tells_what_an_agent_used_and_saved():
    assert told_rows(summarise(calls({}, {}))) == [
        {
            "agent": "support",
            "model": OPUS,
            "calls": 2,
            "uncached_input_tokens": 2000,
            "cache_write_5m_tokens": 0,
            "cache_write_1h_tokens": 0,
            "cache_read_tokens": 6000,
            "output_tokens": 200,
            "cost_usd": "0.018",  # 2 · (1000·5 + 3000·0.5 + 100·25) / 1e6
            "counterfactual_usd": "0.045",  # 2 · (4000·5 + 100·25) / 1e6
            "saved_usd": "0.027",
            "read_share": 0.75,
            "wasted_write_tokens": 0,
            "memo_hits": 0,
            "tool_calls": 0,
            "errors": 0,
        }
    ]


def test_there_is_a_row_for_each_agent_and_model_sorted_by_name():
    summary = summarise(
        calls({"agent": "writer"}, {"agent": "editor", "model": SONNET}, {"agent": "editor"}, {"agent": "writer"})
    )

    assert names(summary) == [("editor", OPUS), ("editor", SONNET), ("writer", OPUS)]
    assert [row.calls for row in summary.rows] == [1, 1, 2]


def test_calls_of_no_agent_are_unattributed():
    summary = summarise(calls({}, {"agent": None}))

    assert [row.calls for row in summary.rows] == [1]
    assert summary.unattributed.calls == 1
    assert summary.unattributed.usage == CALL.usage
    assert summary.total.calls == 2


def test_calls_of_unknown_usage_are_unattributed_and_no_sum_with_them_is_told():
    summary = summarise(calls({}, {"usage": None, "error": "ConnectionFailed: …"}))

    assert [(row.calls, row.errors) for row in summary.rows] == [(1, 0)]
    assert (summary.unattributed.calls, summary.unattributed.errors) == (1, 1)
    assert summary.unknown_usage_calls == 1
    assert summary.rows[0].cost_usd == Decimal("0.009")
    assert summary.unattributed.cost_usd is None
    assert summary.total.to_json()["cost_usd"] is None


def test_a_call_that_the_api_refused_is_a_call_and_an_error_of_its_agent():
    summary = summarise(calls({}, {"usage": Usage(), "error": "CallRejected: 400"}))

    assert [(row.calls, row.errors, row.cost_usd) for row in summary.rows] == [(2, 1, Decimal("0.009"))]
    assert summary.unattributed.is_empty


def test_a_sum_with_an_unpriced_call_is_no_sum():
    summary = summarise(calls({}, {"model": "acme-9"}, {"agent": "editor", "model": "acme-9"}, {"agent": "editor"}))

    assert {name: row.cost_usd for name, row in zip(names(summary), summary.rows, strict=True)} == {
        ("editor", "acme-9"): None,
        ("editor", OPUS): Decimal("0.009"),
        ("support", "acme-9"): None,
        ("support", OPUS): Decimal("0.009"),
    }
    assert (summary.total.cost_usd, summary.total.counterfactual_usd, summary.total.saved_usd) == (None, None, None)
    assert summary.total.priced_usd == Decimal("0.018")
    assert summary.unpriced_models == ("acme-9",)


def test_the_unpriced_model_of_a_fallback_is_named():
    parts = (
        BilledPart(model=OPUS, usage=Usage(output_tokens=1)),
        BilledPart(model="acme-9", usage=Usage(output_tokens=1)),
    )

    assert summarise(calls({"usage": Usage(output_tokens=2), "parts": parts})).unpriced_models == ("acme-9",)


def test_a_tool_call_counts_where_the_call_that_asked_for_it_counts():
    asked = calls({"model": OPUS}, {"model": SONNET})
    tools = [
        replace(TOOL_CALL, call_id="call_1"),
        replace(TOOL_CALL, call_id="call_1", memo_hit=True),
        replace(TOOL_CALL, call_id="call_of_another_day"),
        replace(TOOL_CALL, call_id="call_of_another_day", agent="gone"),
        replace(TOOL_CALL, call_id="call_of_another_day", agent=None),
    ]

    summary = summarise(asked, tools)

    assert [(row.model, row.tool_calls, row.memo_hits) for row in summary.rows] == [(OPUS, 1, 0), (SONNET, 2, 1)]
    assert summary.unattributed.tool_calls == 2
    assert (summary.total.tool_calls, summary.total.memo_hits) == (5, 1)


def test_writes_that_nobody_read_are_told():
    wrote = Usage(cache_write_5m_tokens=5000)
    read = Usage(cache_read_tokens=5000)
    summary = summarise(
        calls(
            {"usage": wrote, "prefix_digests": ("a",), "sent_at": 1.0},
            {"usage": read, "prefix_digests": ("a",), "sent_at": 2.0},
            {"usage": wrote, "prefix_digests": ("b",), "sent_at": 3.0, "agent": "editor"},
        )
    )

    assert [(row.agent, row.wasted_write_tokens) for row in summary.rows] == [("editor", 5000), ("support", 0)]
    assert summary.total.wasted_write_tokens == 5000


def test_by_model_the_agents_are_added_up():
    summary = summarise(calls({"agent": "a"}, {"agent": "b"}, {"agent": "b", "model": SONNET}), by="model")

    assert [(row["agent"], row["model"], row["calls"]) for row in told_rows(summary)] == [
        (None, OPUS, 2),
        (None, SONNET, 1),
    ]


def test_by_run_everything_nested_is_added_up_under_the_top_level_run():
    top = RunRecord(run_id="run_1", parent_run_id=None, name="review", agent=None, started_at=1.0)
    nested = replace(top, run_id="run_2", parent_run_id="run_1", name="reviewer", agent="reviewer")
    deeper = replace(top, run_id="run_3", parent_run_id="run_2", name="helper", agent="helper")
    other = replace(top, run_id="run_9", name="another")

    summary = summarise(
        calls({"run_id": "run_3"}, {"run_id": "run_2"}, {"run_id": "run_9"}, {"run_id": "run_7"}),
        [replace(TOOL_CALL, call_id="unknown", run_id="run_3")],
        by="run",
        runs=[deeper, nested, top, other],
    )

    assert [(row.name, row.run, row.calls, row.tool_calls) for row in summary.rows] == [
        (None, "run_7", 1, 0),
        ("another", "run_9", 1, 0),
        ("review", "run_1", 2, 1),
    ]
    assert list(told_rows(summary)[0]) == ["run", "name", *ROW_FIELDS]


def test_an_empty_ledger_has_a_total_of_nothing():
    summary = summarise([])

    assert summary.rows == ()
    assert summary.to_json()["total"] == summary.to_json()["unattributed"]
    assert (summary.total.cost_usd, summary.total.usage.read_share) == (Decimal(0), None)


# --- properties -------------------------------------------------------------------------------------------------------

usages = st.none() | st.builds(
    Usage,
    uncached_input_tokens=st.integers(0, 10**6),
    cache_write_5m_tokens=st.integers(0, 10**6),
    cache_write_1h_tokens=st.integers(0, 10**6),
    cache_read_tokens=st.integers(0, 10**6),
    output_tokens=st.integers(0, 10**6),
)
ledgers = st.lists(
    st.fixed_dictionaries(
        {
            "agent": st.sampled_from([None, "a", "b"]),
            "model": st.sampled_from([OPUS, SONNET, "acme-9"]),
            "run_id": st.sampled_from(["run_1", "run_2"]),
            "usage": usages,
            "error": st.sampled_from([None, "CallRejected"]),
        }
    ),
    max_size=8,
)


@given(ledgers, st.sampled_from(["agent", "model", "run"]))
@settings(max_examples=2 * settings().max_examples)
def test_rows_and_unattributed_add_up_to_the_total_and_to_the_ledger(changes, by):
    ledger = calls(*changes)
    tools = [replace(TOOL_CALL, call_id=call.call_id, agent=call.agent, run_id=call.run_id) for call in ledger]
    summary = summarise(ledger, tools, by=by)
    listed = [*summary.rows, summary.unattributed]

    assert summary.total.calls == len(ledger) == sum(row.calls for row in listed)
    assert summary.total.tool_calls == len(tools) == sum(row.tool_calls for row in listed)
    assert summary.total.errors == sum(call.error is not None for call in ledger)
    assert summary.total.usage == sum((row.usage for row in listed), Usage())
    assert summary.total.usage == sum((call.usage for call in ledger if call.usage), Usage())
    costs = [row.cost_usd for row in listed]
    assert summary.total.cost_usd == (None if None in costs else sum(cost for cost in costs if cost is not None))
    assert (summary.total.cost_usd is None) == any(call.cost_usd is None for call in ledger)
    assert (summary.total.cost_usd is None) == bool(summary.unpriced_models or summary.unknown_usage_calls)


# --- by day, and a part of the ledger ---------------------------------------------------------------------------------


def test_by_day_every_known_call_has_its_day():
    midnight = 1_792_972_800.0  # 2026-10-26 in UTC
    summary = summarise(
        calls(
            {"sent_at": midnight - 0.5}, {"sent_at": midnight}, {"sent_at": midnight, "agent": None}, {"usage": None}
        ),
        by="day",
    )

    assert [(row.day, row.calls) for row in summary.rows] == [("2026-10-25", 1), ("2026-10-26", 2)]
    assert (summary.unattributed.calls, summary.total.calls) == (1, 4)
    first = summary.to_json()["rows"][0]  # type: ignore[index]  # a list of objects
    assert list(first) == ["day", *ROW_FIELDS]  # type: ignore[arg-type]


def test_by_day_a_tool_call_of_an_unknown_call_counts_when_it_began():
    summary = summarise([], [replace(TOOL_CALL, started_at=1_792_972_800.0)], by="day")

    assert [(row.day, row.tool_calls) for row in summary.rows] == [("2026-10-26", 1)]


def test_only_what_is_selected_counts():
    made = calls({}, {"agent": "editor"}, {"model": SONNET}, {"sent_at": CALL.sent_at + 5})
    tools = [replace(TOOL_CALL, call_id="call_2"), replace(TOOL_CALL, tool_call_id="tool_2", call_id="call_9")]

    def counted(**only) -> tuple[int, int]:
        total = summarise(made, tools, only=Selection(**only)).total
        return total.calls, total.tool_calls

    assert counted() == (4, 2)
    assert counted(agent="editor") == (1, 0)
    assert counted(model=SONNET) == (1, 1)
    assert counted(until=CALL.sent_at + 5) == (3, 2)
    assert counted(until=CALL.sent_at) == (0, 2)
    assert counted(agent="nobody") == (0, 0)


def test_a_token_that_another_agent_read_was_not_wasted():
    written = {"usage": Usage(cache_write_5m_tokens=500), "prefix_digests": ("p1:a",)}
    read = {"agent": "editor", "sent_at": CALL.sent_at + 1, "usage": Usage(cache_read_tokens=500)}
    made = calls(written, read | {"found_digests": ("p1:a",)})

    for only in (Selection(agent="support"), Selection(until=CALL.sent_at + 1)):
        assert summarise(made, only=only).total.wasted_write_tokens == 0
        assert summarise([made[0]], only=only).total.wasted_write_tokens == 500
