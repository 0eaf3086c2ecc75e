"""Histories as chained messages: what they share is kept once, nothing is overwritten, old databases move over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, text

from agentcache.errors import StaleVersion, StoreError
from agentcache.prompt.canonical import ROOT_DIGEST, JsonObject, json_text
from agentcache.prompt.message_chain import MessageChain
from agentcache.stores.databases import Database, database_at
from agentcache.stores.migrations import MIGRATIONS, apply_next
from agentcache.stores.opening import normal_url, open_ledger
from agentcache.stores.protocols import Ledger, StoredConversation
from agentcache.stores.sql import SqlLedger
from tests.postgresql import KeptDatabases


def said(*words: str) -> tuple[JsonObject, ...]:
    """Return messages, a user's and an assistant's by turns."""
    return tuple({"role": ("user", "assistant")[at % 2], "content": word} for at, word in enumerate(words))


def conversation(*words: str, conversation_id: str = "c", **changes: Any) -> StoredConversation:
    return StoredConversation(conversation_id=conversation_id, agent="clerk", messages=said(*words), **changes)


async def kept_rows(ledger: Ledger, *conversation_ids: str) -> int:
    """Delete these conversations, which must be all, and return how many messages were kept for them."""
    for conversation_id in conversation_ids:
        assert await ledger.delete_conversation(conversation_id)
    return await ledger.prune_messages(earlier=True)


# --- what is kept -----------------------------------------------------------------------------------------------------


async def test_conversations_that_begin_alike_share_what_they_share(ledger: Ledger):
    await ledger.save_conversation(conversation("q1", "a1", "q2", "a2"))
    await ledger.save_conversation(conversation("q1", "a1", "other", "a2", conversation_id="d"))

    assert await kept_rows(ledger, "c", "d") == 4 + 2


async def test_messages_that_differ_in_the_order_of_keys_are_two(ledger: Ledger):
    first: JsonObject = {"role": "user", "content": [{"type": "text", "text": "x"}]}
    second: JsonObject = {"role": "user", "content": [{"text": "x", "type": "text"}]}
    await ledger.save_conversation(replace(conversation(), messages=(first,)))
    await ledger.save_conversation(replace(conversation(conversation_id="d"), messages=(second,)))

    loaded = [await ledger.load_conversation(its_id) for its_id in ("c", "d")]
    assert [json_text(one.messages[0]) for one in loaded if one] == [json_text(first), json_text(second)]
    assert await kept_rows(ledger, "c", "d") == 2


async def test_words_that_utf8_has_no_bytes_for_come_back(ledger: Ledger):
    odd = conversation("half \ud83d and \x00")
    await ledger.save_conversation(odd)

    loaded = await ledger.load_conversation("c")
    assert loaded is not None
    assert loaded.messages == odd.messages


async def test_what_json_cannot_express_is_no_history():
    with pytest.raises(StoreError, match="'c' holds what JSON cannot express"):
        replace(conversation(), messages=({"role": "user", "content": float("nan")},))


async def test_a_history_that_was_rewritten_can_still_be_read(ledger: Ledger):
    first = await ledger.save_conversation(conversation("q1", "a1", "q2", "a2", version=0, state={"at": 1}))
    await ledger.save_conversation(replace(first, messages=said("summary", "a2"), state={"at": 2}))

    [earlier] = await ledger.earlier_histories("c")
    assert (earlier.version, earlier.messages, earlier.head) == (1, 4, first.head)
    loaded = await ledger.load_conversation("c", head=earlier.head)
    assert loaded is not None
    assert (loaded.messages, loaded.state, loaded.version) == (first.messages, {}, 2)


async def test_a_history_that_only_grew_is_no_earlier_one(ledger: Ledger):
    saved = await ledger.save_conversation(conversation("q1", "a1"))
    await ledger.save_conversation(replace(saved, messages=said("q1", "a1", "q2", "a2")))

    assert await ledger.earlier_histories("c") == []


async def test_a_beginning_can_be_loaded_by_its_digest(ledger: Ledger):
    saved = await ledger.save_conversation(conversation("q1", "a1", "q2", "a2"))

    loaded = await ledger.load_conversation("c", head=saved.chain.digests[1])

    assert loaded is not None
    assert loaded.messages == MessageChain.of(said("q1", "a1"))
    assert await ledger.load_conversation("c", head="p1:unknown") is None


async def test_a_save_can_be_repeated(ledger: Ledger):
    """As a step is that was cut off between its effect and the note of it."""
    first = await ledger.save_conversation(conversation("q1", "a1", version=0))
    again = await ledger.save_conversation(conversation("q1", "a1", version=0))

    assert again == first == await ledger.load_conversation("c")
    with pytest.raises(StaleVersion):
        await ledger.save_conversation(conversation("q2", "a2", version=0))


async def test_the_list_counts_messages_and_names_heads(ledger: Ledger):
    saved = await ledger.save_conversation(conversation("q1", "a1"))
    await ledger.save_conversation(conversation(conversation_id="b"))

    found = await ledger.conversations()

    assert [(one.conversation_id, one.messages, one.version, one.head) for one in found] == [
        ("b", 0, 1, ROOT_DIGEST),
        ("c", 2, 1, saved.head),
    ]
    assert await ledger.conversations(conversation_id="c") == found[1:]


async def test_pruning_takes_what_nothing_points_to_and_nothing_else(ledger: Ledger):
    await ledger.save_conversation(conversation("q1", "a1", "q2", "a2"))
    await ledger.save_conversation(conversation("q1", "a1", "x", "y", conversation_id="gone"))
    await ledger.save_conversation(conversation("new", "start"))
    assert await ledger.prune_messages() == 0

    assert await ledger.delete_conversation("gone")
    assert not await ledger.delete_conversation("gone")
    assert await ledger.prune_messages() == 2
    assert await ledger.prune_messages(earlier=True) == 4
    loaded = await ledger.load_conversation("c")
    assert loaded is not None
    assert loaded.messages == MessageChain.of(said("new", "start"))


async def test_of_two_who_save_at_once_one_is_told(ledger: Ledger):
    saved = await ledger.save_conversation(conversation("q1", "a1", version=0))
    mine, theirs = (replace(saved, messages=said("q1", "a1", *words)) for words in (("mine", "x"), ("theirs", "y")))

    outcomes = await asyncio.gather(
        ledger.save_conversation(mine), ledger.save_conversation(theirs), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [StoredConversation, StaleVersion]
    assert await ledger.load_conversation("c") == replace(mine, version=2)


async def test_of_two_processes_that_begin_a_conversation_at_once_one_is_told(ledger_url: str):
    if ledger_url == "memory:":
        pytest.skip("nothing in memory is shared between processes")
    ledgers = [await open_ledger(ledger_url) for _ in range(2)]

    outcomes = await asyncio.gather(
        *(
            ledger.save_conversation(conversation(word, version=0))
            for ledger, word in zip(ledgers, ("mine", "theirs"), strict=True)
        ),
        return_exceptions=True,
    )

    assert {type(outcome) for outcome in outcomes} == {StoredConversation, StaleVersion}
    [saved] = [outcome for outcome in outcomes if isinstance(outcome, StoredConversation)]
    for ledger in ledgers:
        assert await ledger.load_conversation("c") == saved
        await ledger.close()


# --- any order of things ----------------------------------------------------------------------------------------------

IDS = st.sampled_from(["a", "b", "c"])
WORDS = st.lists(st.sampled_from(["x", "y", "z"]), min_size=1, max_size=3)
STEPS = st.one_of(
    st.tuples(st.just("append"), IDS, WORDS),
    st.tuples(st.just("rewrite"), IDS, WORDS),
    st.tuples(st.just("fork"), IDS, IDS, st.integers(0, 6)),
    st.tuples(st.just("delete"), IDS),
    st.tuples(st.just("prune")),
    st.tuples(st.just("reload")),
)


@dataclass
class Expected:
    """What every conversation holds, and held before rewrites, as plain lists."""

    now: dict[str, list[JsonObject]] = field(default_factory=dict)
    before: dict[str, list[list[JsonObject]]] = field(default_factory=dict)

    def save(self, its_id: str, messages: list[JsonObject]) -> None:
        old = self.now.get(its_id)
        if old is not None and messages[: len(old)] != old:
            self.before.setdefault(its_id, []).append(old)
        self.now[its_id] = messages

    def beginnings(self) -> set[str]:
        histories = [*self.now.values(), *(one for left in self.before.values() for one in left)]
        return {json_text(one[: at + 1]) for one in histories for at in range(len(one))}


async def play(ledger: Ledger, expected: Expected, step: tuple[Any, ...]) -> None:
    kind, ids = step[0], step[1:]
    if kind == "prune":
        await ledger.prune_messages()
    elif kind == "delete":
        assert await ledger.delete_conversation(ids[0]) is (ids[0] in expected.now)
        expected.now.pop(ids[0], None)
        expected.before.pop(ids[0], None)
    elif kind in {"append", "rewrite"}:
        there = await ledger.load_conversation(ids[0]) or conversation(conversation_id=ids[0], version=0)
        start = len(there.messages) if kind == "append" else 0
        messages = [*there.messages[:start], *({"role": "user", "content": word} for word in ids[1])]
        await ledger.save_conversation(replace(there, messages=there.chain.grown_to(messages)))
        expected.save(ids[0], messages)
    elif kind == "fork" and (source := await ledger.load_conversation(ids[0])) is not None:
        part = source.chain.first(ids[2])
        await ledger.save_conversation(replace(source, conversation_id=ids[1], messages=part, version=None))
        expected.save(ids[1], list(part))


async def check(ledger: Ledger, expected: Expected) -> None:
    assert {one.conversation_id for one in await ledger.conversations()} == expected.now.keys()
    for its_id, messages in expected.now.items():
        loaded = await ledger.load_conversation(its_id)
        assert loaded is not None
        assert loaded.chain == MessageChain.of(tuple(messages))
        for earlier, left in zip(await ledger.earlier_histories(its_id), expected.before.get(its_id, []), strict=True):
            old = await ledger.load_conversation(its_id, head=earlier.head)
            assert old is not None
            assert (list(old.messages), earlier.messages) == (left, len(left))
    await ledger.prune_messages()
    assert await kept_rows(ledger, *expected.now) == len(expected.beginnings())


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as opened:
        yield opened


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgresql"])
def test_whatever_happens_in_any_order_comes_back_and_is_kept_once(
    kind, tmp_path, runner: asyncio.Runner, kept_databases: KeptDatabases
):
    url = "memory:" if kind == "memory" else f"sqlite:///{tmp_path}/ledger.db"
    if kind == "postgresql":
        url = runner.run(kept_databases.without_rows())
    opened = [runner.run(open_ledger(url))]

    async def reopen() -> None:
        if kind != "memory":
            await opened[0].close()
            opened[0] = await open_ledger(url)

    @settings(max_examples=40 if kind == "memory" else 12, deadline=None, suppress_health_check=[*HealthCheck])
    @given(st.lists(STEPS, max_size=8))
    def any_order(steps: list[tuple[Any, ...]]) -> None:
        async def one_example() -> None:
            expected = Expected()
            for step in steps:
                await (reopen() if step == ("reload",) else play(opened[0], expected, step))
            await check(opened[0], expected)

        runner.run(one_example())

    try:
        any_order()
    finally:
        runner.run(opened[0].close())


# --- what it costs ----------------------------------------------------------------------------------------------------


def statements_of(ledger: Ledger) -> list[tuple[str, int]]:
    """Return a list that fills with each statement on a SQLite ledger, and how many rows it brought."""
    assert isinstance(ledger, SqlLedger)
    seen: list[tuple[str, int]] = []
    database: Any = ledger._database

    def note(_c: object, _cursor: object, statement: str, rows: Any, _context: object, many: bool) -> None:
        seen.append((statement.split(maxsplit=1)[0], len(rows) if many else 1))

    for engine in (database._reading, database._writing):
        event.listen(engine, "before_cursor_execute", note)
    return seen


async def test_a_turn_writes_its_own_messages_whatever_came_before(tmp_path):
    ledger = await open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    saved = await ledger.save_conversation(conversation(*(f"word {number}" for number in range(1000)), version=0))
    seen = statements_of(ledger)

    longer = replace(saved, messages=saved.chain.grown_to([*saved.messages, *said("q", "a")]))
    await ledger.save_conversation(longer)

    assert [(verb, rows) for verb, rows in seen if verb in {"INSERT", "UPDATE", "DELETE"}] == [
        ("INSERT", 2),
        ("UPDATE", 1),
    ]
    seen.clear()
    loaded = await ledger.load_conversation("c")
    assert loaded is not None
    assert len(loaded.messages) == 1002
    assert [verb for verb, _ in seen if verb not in {"BEGIN", "PRAGMA"}] == ["SELECT", "WITH"]  # its row, its messages
    await ledger.close()


# --- from older databases ---------------------------------------------------------------------------------------------

OLD: list[tuple[str, list[JsonObject]]] = [
    ("empty", []),
    (
        "plain",
        [{"role": "user", "content": "Hi 👋"}, {"role": "assistant", "content": [{"type": "text", "text": "é"}]}],
    ),
    ("longer", [{"role": "user", "content": "Hi 👋"}, {"role": "assistant", "content": "half \ud83d and \x00"}]),
]


def before_messages(connection: Connection) -> None:
    """Bring an empty database to where it was before messages had rows, with conversations in it."""
    older = [step for step in MIGRATIONS if step.name < "0003"]
    for _ in older:
        apply_next(connection, now=1.0, migrations=older)
    for its_id, messages in OLD:
        connection.execute(
            text(
                "INSERT INTO conversations (conversation_id, agent, version, messages, state) "
                "VALUES (:i, 'a', 3, :m, :s)"
            ),
            {"i": its_id, "m": json.dumps(messages), "s": '{"effort":"low"}'},
        )


async def done(database: Database, work: Callable[[Connection], None]) -> None:
    await database.write(work)
    await database.close()


async def test_conversations_of_an_older_database_move_over(ledger_url: str):
    if ledger_url == "memory:":
        pytest.skip("nothing in memory is older than the process")
    await done(database_at(normal_url(ledger_url)), before_messages)

    ledger = await open_ledger(ledger_url)

    for its_id, messages in OLD:
        loaded = await ledger.load_conversation(its_id)
        assert loaded == StoredConversation(
            conversation_id=its_id, agent="a", messages=messages, state={"effort": "low"}, version=3
        )
        assert loaded.chain.digests == MessageChain.of(messages).digests
        grown = await ledger.save_conversation(replace(loaded, messages=(*messages, *said("and?"))))
        assert await ledger.load_conversation(its_id) == grown
    assert await kept_rows(ledger, *(its_id for its_id, _ in OLD)) == 3 + 3
    await ledger.close()
