"""How a database comes to today's schema: named steps in order, each in one transaction with its own record.

A new database, in which no step can take long, gets all of them in one. A step is never changed once it was released:
it says what was true then, in SQL that SQLite and PostgreSQL both take. Add a step at the end instead, and change
`schema.py` with it; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, inspect, select, text

from agentcache.errors import SchemaTooNew
from agentcache.stores.moved_messages import move_messages
from agentcache.stores.schema import schema_migrations

_ADVISORY_LOCK = 4_276_110_932_117
"""Any constant: programs that migrate one PostgreSQL database at once wait for each other on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step: its name is its identity in every database, its statements run in order.

    convert: what SQL cannot say, done after the statements in the same transaction; `closing` statements come last.
    """

    name: str
    statements: Sequence[str]
    convert: Callable[[Connection], None] | None = None
    closing: Sequence[str] = ()


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        name="0001_ledger",
        statements=(
            """
            CREATE TABLE runs (
                run_id TEXT NOT NULL PRIMARY KEY,
                parent_run_id TEXT REFERENCES runs (run_id),
                name TEXT NOT NULL,
                agent TEXT,
                conversation TEXT,
                started_at DOUBLE PRECISION NOT NULL,
                ended_at DOUBLE PRECISION,
                status TEXT NOT NULL,
                error TEXT
            )
            """,
            """
            CREATE TABLE calls (
                call_id TEXT NOT NULL PRIMARY KEY,
                run_id TEXT NOT NULL REFERENCES runs (run_id),
                kind TEXT NOT NULL,
                agent TEXT,
                model TEXT NOT NULL,
                conversation TEXT,
                turn INTEGER NOT NULL,
                message_id TEXT,
                request_id TEXT,
                sent_at DOUBLE PRECISION NOT NULL,
                first_token_at DOUBLE PRECISION,
                ended_at DOUBLE PRECISION,
                stop_reason TEXT,
                attempts INTEGER NOT NULL,
                error TEXT,
                uncached_input_tokens BIGINT,
                cache_write_5m_tokens BIGINT,
                cache_write_1h_tokens BIGINT,
                cache_read_tokens BIGINT,
                output_tokens BIGINT,
                parts TEXT NOT NULL,
                cost_usd TEXT,
                counterfactual_usd TEXT,
                plan TEXT NOT NULL,
                section_tokens TEXT NOT NULL,
                prefix_digests TEXT NOT NULL,
                found_digests TEXT NOT NULL,
                request TEXT,
                response TEXT
            )
            """,
            """
            CREATE TABLE tool_calls (
                tool_call_id TEXT NOT NULL PRIMARY KEY,
                run_id TEXT NOT NULL REFERENCES runs (run_id),
                agent TEXT,
                call_id TEXT NOT NULL,
                tool TEXT NOT NULL,
                started_at DOUBLE PRECISION NOT NULL,
                ended_at DOUBLE PRECISION NOT NULL,
                outcome TEXT NOT NULL,
                memo_hit BOOLEAN NOT NULL,
                result_chars INTEGER NOT NULL
            )
            """,
            """
            CREATE TABLE conversations (
                conversation_id TEXT NOT NULL PRIMARY KEY,
                agent TEXT NOT NULL,
                version INTEGER NOT NULL,
                messages TEXT NOT NULL,
                state TEXT NOT NULL
            )
            """,
            "CREATE INDEX runs_by_parent ON runs (parent_run_id)",
            "CREATE INDEX runs_by_start ON runs (started_at)",
            "CREATE INDEX calls_by_run ON calls (run_id)",
            "CREATE INDEX calls_by_time ON calls (sent_at)",
            "CREATE INDEX tool_calls_by_run ON tool_calls (run_id)",
            "CREATE INDEX tool_calls_by_start ON tool_calls (started_at)",
        ),
    ),
    Migration(
        name="0002_scheduling",
        statements=(
            "ALTER TABLE calls ADD COLUMN held_s TEXT",
            "ALTER TABLE calls ADD COLUMN held_saved_usd TEXT",
        ),
    ),
    Migration(
        name="0003_conversation_messages",
        statements=(
            """
            CREATE TABLE conversation_messages (
                digest TEXT NOT NULL PRIMARY KEY,
                parent TEXT REFERENCES conversation_messages (digest),
                depth INTEGER NOT NULL,
                message TEXT NOT NULL
            )
            """,
            "CREATE INDEX conversation_messages_by_parent ON conversation_messages (parent)",
            """
            CREATE TABLE earlier_histories (
                conversation_id TEXT NOT NULL,
                version INTEGER NOT NULL,
                head TEXT REFERENCES conversation_messages (digest),
                PRIMARY KEY (conversation_id, version)
            )
            """,
            "ALTER TABLE conversations ADD COLUMN head TEXT REFERENCES conversation_messages (digest)",
            "CREATE INDEX conversations_by_head ON conversations (head)",
            "CREATE INDEX earlier_histories_by_head ON earlier_histories (head)",
        ),
        convert=move_messages,
        closing=("ALTER TABLE conversations DROP COLUMN messages",),
    ),
    Migration(
        name="0004_tool_memo",
        statements=(
            "ALTER TABLE tool_calls ADD COLUMN memo_tier TEXT",
            "ALTER TABLE tool_calls ADD COLUMN memo_saved_s DOUBLE PRECISION",
            "ALTER TABLE tool_calls ADD COLUMN result_bytes BIGINT",
            "ALTER TABLE tool_calls ADD COLUMN result_tokens BIGINT",
            "ALTER TABLE tool_calls ADD COLUMN result_digest TEXT",
        ),
    ),
    Migration(
        name="0005_prompt_spans",
        statements=("ALTER TABLE calls ADD COLUMN prompt_spans TEXT",),
    ),
    Migration(
        name="0006_seals",
        statements=(
            """
            CREATE TABLE seals (
                since DOUBLE PRECISION NOT NULL PRIMARY KEY,
                until DOUBLE PRECISION NOT NULL,
                made_of TEXT NOT NULL,
                day_sums TEXT NOT NULL,
                run_sums TEXT NOT NULL,
                open_writes TEXT NOT NULL
            )
            """,
            """
            CREATE TABLE wasted_writes (
                call_id TEXT NOT NULL PRIMARY KEY,
                sealed_since DOUBLE PRECISION NOT NULL,
                sent_at DOUBLE PRECISION NOT NULL,
                hour INTEGER NOT NULL,
                run_id TEXT NOT NULL,
                agent TEXT,
                model TEXT NOT NULL,
                tokens BIGINT NOT NULL
            )
            """,
            "CREATE INDEX wasted_writes_by_time ON wasted_writes (sent_at)",
            "CREATE INDEX wasted_writes_by_seal ON wasted_writes (sealed_since)",
        ),
    ),
    Migration(
        name="0007_section_provenance",
        statements=(
            """
            CREATE TABLE section_provenance (
                digest TEXT NOT NULL PRIMARY KEY,
                used_at DOUBLE PRECISION NOT NULL,
                made_of TEXT NOT NULL
            )
            """,
            "CREATE INDEX section_provenance_by_use ON section_provenance (used_at)",
            "CREATE INDEX calls_by_conversation ON calls (conversation, sent_at)",
        ),
    ),
)


def is_current(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> bool:
    """Return whether the database has every step. Raises `SchemaTooNew` when it has steps that are not known here."""
    return _next_step(connection, migrations) is None


def apply_next(connection: Connection, *, now: float, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Apply the first step that the database lacks and record it, in a new database all; nothing when it lacks none.

    Call it in a transaction that writes, and commit after each step. `now` is in Unix seconds. Raises `SchemaTooNew`
    for a database with steps that are not known here.
    """
    _wait_for_others(connection)
    step = _next_step(connection, migrations)
    if step is None:
        return
    schema_migrations.create(connection, checkfirst=True)
    is_new = step is migrations[0]
    for each in migrations if is_new else [step]:
        _apply(connection, each, now=now)


def _apply(connection: Connection, step: Migration, *, now: float) -> None:
    for statement in step.statements:
        connection.exec_driver_sql(statement)
    if step.convert is not None:
        step.convert(connection)
    for statement in step.closing:
        connection.exec_driver_sql(statement)
    connection.execute(schema_migrations.insert(), {"name": step.name, "applied_at": now})


def _next_step(connection: Connection, migrations: Sequence[Migration]) -> Migration | None:
    known = {migration.name for migration in migrations}
    applied = _applied_names(connection)
    unknown = [name for name in applied if name not in known]
    if unknown:
        raise SchemaTooNew(
            f"the ledger was written by a newer agentcache (it has the schema change {unknown[0]!r}); "
            "upgrade agentcache, or name another database"
        )
    return next((migration for migration in migrations if migration.name not in applied), None)


def _applied_names(connection: Connection) -> list[str]:
    if not inspect(connection).has_table(schema_migrations.name):
        return []
    return list(connection.execute(select(schema_migrations.c.name).order_by(schema_migrations.c.name)).scalars())


def _wait_for_others(connection: Connection) -> None:
    """Let one program at a time migrate. SQLite's write transaction does that by itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
