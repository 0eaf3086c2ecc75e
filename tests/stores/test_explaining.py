"""What sections are made of, and the calls that explain others: the same promises for every ledger."""

from __future__ import annotations

from dataclasses import replace

from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, Usage
from agentcache.prompt.provenance import Provenance, Segment, Site
from agentcache.stores.protocols import Ledger

SITE = Site(template="p/static.j2", line=3, prints=("user.name",), variables=("user",), under=("vip",))
SECTION = Provenance(digest="p1:aa", segments=(Segment(site=SITE, chars=12, digest="0f3a"),))
OTHER = Provenance(digest="p1:bb", segments=(Segment(site=Site(template="Über", line=None), chars=0, digest="ffff"),))
RUN = RunRecord(run_id="run_1", parent_run_id=None, name="review", agent=None, started_at=1.0)
CALL = CallRecord(
    call_id="call", run_id="run_1", agent="a", model="m", sent_at=10_000.0, usage=Usage(uncached_input_tokens=1)
)


def call(call_id: str, at: float, **rest: object) -> CallRecord:
    return replace(CALL, call_id=call_id, sent_at=at, **rest)  # type: ignore[arg-type]  # fields of a call


async def ids_that_explain(ledger: Ledger, **asked: str) -> list[str]:
    return [each.call_id for each in await ledger.calls_to_explain(before_s=100.0, **asked)]


async def test_what_sections_are_made_of_comes_back_as_it_was(ledger: Ledger):
    await ledger.keep_provenance([SECTION, OTHER], used_at=1.0)
    await ledger.keep_provenance([SECTION], used_at=2.0)

    assert await ledger.provenance(["p1:aa", "p1:bb", "p1:cc"]) == {"p1:aa": SECTION, "p1:bb": OTHER}
    assert await ledger.provenance([]) == {}


async def test_sections_go_with_the_last_calls_that_sent_them(ledger: Ledger):
    await ledger.start_run(replace(RUN, run_id="old", started_at=1.0))
    await ledger.start_run(replace(RUN, run_id="new", started_at=9_000.0))
    await ledger.add_call(call("one", 1.0, run_id="old"))
    await ledger.add_call(call("two", 10_000.0, run_id="new"))
    await ledger.keep_provenance([SECTION], used_at=1.0)
    await ledger.keep_provenance([OTHER], used_at=10_000.0)
    await ledger.finish_run("old", ended_at=2.0, status=RunStatus.FINISHED)

    await ledger.prune_runs(before=9_500.0, dry_run=True)
    assert len(await ledger.provenance(["p1:aa", "p1:bb"])) == 2
    await ledger.prune_runs(before=9_500.0)

    assert await ledger.provenance(["p1:aa", "p1:bb"]) == {"p1:bb": OTHER}


async def test_a_section_stays_while_a_call_of_its_time_is_left(ledger: Ledger):
    await ledger.start_run(RUN)
    await ledger.add_call(call("one", 1.0))
    await ledger.keep_provenance([SECTION], used_at=1.0)

    await ledger.prune_runs(before=90_000.0)  # the run has not ended

    assert await ledger.provenance(["p1:aa"]) == {"p1:aa": SECTION}


async def test_what_explains_a_run_is_around_it(ledger: Ledger):
    await ledger.start_run(RUN)
    await ledger.start_run(replace(RUN, run_id="run_2"))
    await ledger.start_run(replace(RUN, run_id="below", parent_run_id="run_2"))
    before = [
        call("far", 100.0),
        call("last of its agent", 9_000.0),
        call("unanswered", 9_001.0, usage=None),
        call("of its conversation", 200.0, agent="b", conversation="c"),
        call("earlier in it", 150.0, agent="b", conversation="c"),
        call("other model", 9_990.0, model="n"),
        call("just before", 9_950.0, agent="z"),
    ]
    own = [call("own", 10_000.0, run_id="run_2", conversation="c"), call("below", 10_050.0, run_id="below")]
    between, after = call("between", 10_020.0), call("after", 10_060.0)
    for each in (*before, *own, between, after):
        await ledger.add_call(each)

    assert await ids_that_explain(ledger, run_id="run_2") == [
        "of its conversation",
        "last of its agent",
        "just before",
        "own",
        "between",
        "below",
    ]
    assert await ids_that_explain(ledger, call_id="own") == [
        "of its conversation",
        "last of its agent",
        "just before",
        "own",
    ]


async def test_nothing_explains_what_is_not_there(ledger: Ledger):
    await ledger.start_run(RUN)

    assert await ids_that_explain(ledger, run_id="run_1") == []
    assert await ids_that_explain(ledger, call_id="call_0") == []


async def test_requests_come_where_their_text_was_kept(ledger: Ledger):
    await ledger.start_run(RUN)
    await ledger.add_call(call("kept", 1.0, request={"b": 1, "a": 2}))
    await ledger.add_call(call("not kept", 2.0))

    assert await ledger.requests(["kept", "not kept", "none"]) == {"kept": {"b": 1, "a": 2}}
