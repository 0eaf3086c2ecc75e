"""How a database comes to today's schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import OperationalError

from agentcache.accounting.summary import summarise, summary_of
from agentcache.accounting.usage import ToolCallRecord
from agentcache.errors import SchemaTooNew
from agentcache.stores import schema
from agentcache.stores.migrations import MIGRATIONS, Migration, apply_next, is_current
from agentcache.stores.opening import open_ledger
from agentcache.stores.rows import call_of, tool_call_of

FIRST = Migration(name="0001_first", statements=["CREATE TABLE one (id INTEGER)"])
SECOND = Migration(name="0002_second", statements=["CREATE TABLE two (id INTEGER)", "CREATE INDEX two_ids ON two (id)"])
THIRD = Migration(name="0003_third", statements=["CREATE TABLE three (id INTEGER)"])
BROKEN = Migration(name="0002_broken", statements=["CREATE TABLE two (id INTEGER)", "CREATE NONSENSE"])


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = create_engine(f"sqlite:///{tmp_path}/x.db")
    yield opened
    opened.dispose()


def tables(connection: Connection) -> list[str]:
    return sorted(inspect(connection).get_table_names())


def test_a_new_database_gets_all_steps_in_order_and_records_them(engine: Engine):
    with engine.begin() as connection:
        apply_next(connection, now=1.5, migrations=[FIRST, SECOND])
        recorded = connection.execute(schema.schema_migrations.select()).all()

        assert is_current(connection, [FIRST, SECOND])
        assert tables(connection) == ["one", "schema_migrations", "two"]
        assert [tuple(row) for row in recorded] == [("0001_first", 1.5), ("0002_second", 1.5)]


def test_an_older_database_gets_one_step_at_a_time(engine: Engine):
    with engine.begin() as connection:
        apply_next(connection, now=1.0, migrations=[FIRST])
        apply_next(connection, now=2.0, migrations=[FIRST, SECOND, THIRD])
        assert tables(connection) == ["one", "schema_migrations", "two"]
        assert not is_current(connection, [FIRST, SECOND, THIRD])
        apply_next(connection, now=3.0, migrations=[FIRST, SECOND, THIRD])

        assert is_current(connection, [FIRST, SECOND, THIRD])


def test_an_older_database_gets_what_it_lacks(engine: Engine):
    with engine.begin() as connection:
        apply_next(connection, now=1.0, migrations=[FIRST])
    with engine.begin() as connection:
        apply_next(connection, now=2.0, migrations=[FIRST, SECOND])

    with engine.begin() as connection:
        assert is_current(connection, [FIRST, SECOND])


def test_a_current_database_is_left_as_it_is(engine: Engine):
    with engine.begin() as connection:
        apply_next(connection, now=1.0, migrations=[FIRST])
        apply_next(connection, now=2.0, migrations=[FIRST])

        assert len(connection.execute(schema.schema_migrations.select()).all()) == 1


def test_a_step_that_fails_leaves_no_record(engine: Engine):
    with engine.begin() as connection:
        apply_next(connection, now=1.0, migrations=[FIRST])
    with pytest.raises(OperationalError), engine.begin() as connection:
        apply_next(connection, now=2.0, migrations=[FIRST, BROKEN])

    with engine.begin() as connection:
        assert not is_current(connection, [FIRST, BROKEN])


def test_a_step_that_is_not_known_here_was_made_by_a_newer_agentcache(engine: Engine):
    with engine.begin() as connection:
        apply_next(connection, now=1.0, migrations=[FIRST])
        apply_next(connection, now=1.0, migrations=[FIRST, SECOND])

        with pytest.raises(SchemaTooNew, match="0002_second"):
            is_current(connection, [FIRST])
        with pytest.raises(SchemaTooNew, match="0002_second"):
            apply_next(connection, now=2.0, migrations=[FIRST])


def test_all_steps_together_make_the_schema_that_queries_see(engine: Engine):
    with engine.begin() as connection:
        while not is_current(connection):
            apply_next(connection, now=1.0)
        found = inspect(connection)

        assert set(found.get_table_names()) == set(schema.metadata.tables)
        for name, table in schema.metadata.tables.items():
            columns = {column["name"]: column["nullable"] for column in found.get_columns(name)}
            assert columns == {column.name: column.nullable for column in table.columns}
            assert found.get_pk_constraint(name)["constrained_columns"] == [c.name for c in table.primary_key]
            assert {tuple(key["constrained_columns"]) for key in found.get_foreign_keys(name)} == {
                tuple(constraint.column_keys) for constraint in table.foreign_key_constraints
            }


def test_a_tool_call_from_before_says_nothing_of_where_its_answer_came_from(engine: Engine):
    old_run = (
        "INSERT INTO runs (run_id, name, started_at, status) VALUES ('run_1', 'review', 1.0, 'finished')",
        "INSERT INTO tool_calls VALUES ('tool_1', 'run_1', 'clerk', 'call_1', 'look_up', 1.0, 2.5, 'ok', TRUE, 12)",
    )
    before = [migration for migration in MIGRATIONS if migration.name < "0004"]
    with engine.begin() as connection:
        for _ in before:
            apply_next(connection, now=1.0, migrations=before)
        for statement in old_run:
            connection.execute(text(statement))
        while not is_current(connection):
            apply_next(connection, now=2.0)

        (row,) = connection.execute(schema.tool_calls.select()).mappings()

    assert tool_call_of(row) == ToolCallRecord(
        tool_call_id="tool_1",
        run_id="run_1",
        agent="clerk",
        call_id="call_1",
        tool="look_up",
        started_at=1.0,
        ended_at=2.5,
        outcome="ok",
        memo_hit=True,
        result_chars=12,
        memo_tier=None,
        memo_saved_s=None,
        result_bytes=None,
        result_tokens=None,
        result_digest=None,
    )


def test_a_call_from_before_says_nothing_of_the_runs_of_its_prompt(engine: Engine):
    before = [migration for migration in MIGRATIONS if migration.name < "0005"]
    run = "INSERT INTO runs (run_id, name, started_at, status) VALUES ('run_1', 'review', 1.0, 'finished')"
    call = (
        "INSERT INTO calls (call_id, run_id, kind, model, turn, sent_at, attempts, parts, plan, section_tokens, "
        "prefix_digests, found_digests) "
        "VALUES ('call_1', 'run_1', 'message', 'm', 1, 1.0, 1, '[]', '{}', '{}', '[]', '[]')"
    )
    with engine.begin() as connection:
        for _ in before:
            apply_next(connection, now=1.0, migrations=before)
        connection.execute(text(run))
        connection.execute(text(call))
        while not is_current(connection):
            apply_next(connection, now=2.0)

        (row,) = connection.execute(schema.calls.select()).mappings()

    assert call_of(row).prompt_spans is None


@pytest.mark.parametrize("applied", range(1, len(MIGRATIONS)))
async def test_a_ledger_of_each_earlier_version_is_summed_up(engine: Engine, tmp_path: Path, applied: int):
    before = MIGRATIONS[:applied]
    run = "INSERT INTO runs (run_id, name, started_at, status) VALUES ('run_1', 'review', 1.0, 'finished')"
    call = (
        "INSERT INTO calls (call_id, run_id, kind, agent, model, turn, sent_at, attempts, uncached_input_tokens, "
        "cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens, output_tokens, parts, cost_usd, plan, "
        "section_tokens, prefix_digests, found_digests) VALUES ('call_1', 'run_1', 'message', 'clerk', 'm', 1, 1.0, 1, "
        "1, 500, 0, 0, 2, '[]', '0.25', '{}', '{}', '[\"p1:a\"]', '[]')"
    )
    with engine.begin() as connection:
        for _ in before:
            apply_next(connection, now=1.0, migrations=before)
        connection.execute(text(run))
        connection.execute(text(call))

    ledger = await open_ledger(f"{tmp_path}/x.db")
    read = summarise(await ledger.calls())
    assert await ledger.seal(now=1e6)
    assert summary_of(await ledger.rollup()) == read
    await ledger.close()
    assert (read.total.wasted_write_tokens, read.total.usage.output_tokens) == (500, 2)


def test_names_of_steps_are_unique_and_in_order():
    names = [migration.name for migration in MIGRATIONS]

    assert names == sorted(set(names))
