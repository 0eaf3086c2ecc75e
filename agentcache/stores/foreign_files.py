"""Tells a ledger from a file of another program before anything is changed in it.

Setting a connection up writes (the write-ahead log is a mark in the file), and so does the first migration; a database
of somebody else that is named by mistake must be left as it is.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DatabaseError

from agentcache.errors import StoreError
from agentcache.stores import database_errors
from agentcache.stores.database_errors import store_error
from agentcache.stores.migrations import MIGRATIONS
from agentcache.stores.schema import schema_migrations

_MAGIC = b"SQLite format 3\x00"
_WAL_FORMAT = b"\x02"
"""Byte 18 of a file in write-ahead mode (https://www.sqlite.org/fileformat.html)."""


def refuse_foreign_file(path: Path) -> None:
    """Raise `StoreError` for a file that is there and is no ledger; nothing of it is touched.

    A file that is not there or is empty becomes a ledger when it is opened.
    """
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except FileNotFoundError:
        return
    except OSError as error:
        raise store_error(error, where=str(path), doing="open the ledger") from error
    if not head:
        return
    if not head.startswith(_MAGIC):
        raise StoreError(
            f"{path}: cannot open the ledger: it is no SQLite database; move it away, or name another file"
        )
    # In write-ahead mode even a reader makes files beside it, unless it is told that nobody writes. Without a log,
    # nobody does; who begins to in just this moment makes what was read doubtful.
    nobody_writes = head[18:19] == _WAL_FORMAT and not Path(f"{path}-wal").exists()
    try:
        table = _foreign_table_of_still_file(path) if nobody_writes else _foreign_table(path, "mode=ro")
    except DatabaseError as error:
        raise store_error(error, where=str(path), doing="open the ledger") from error
    if table is not None:
        raise StoreError(
            f"{path}: is a database of another program (it has a table {table!r} and is no ledger), and is left as it "
            "is; name a file of its own"
        )


def _foreign_table_of_still_file(path: Path) -> str | None:
    try:
        return _foreign_table(path, "immutable=1")
    except DatabaseError:
        return _foreign_table(path, "mode=ro")


def _foreign_table(path: Path, how: str) -> str | None:
    """Return a table of a database that is no ledger, `None` for a ledger or a database without tables."""
    patience = {"timeout": database_errors.BUSY_TIMEOUT_S}
    engine = create_engine(
        f"sqlite:///file:{quote(str(path))}?{how}&uri=true", poolclass=NullPool, connect_args=patience
    )
    with engine.connect() as connection:
        tables = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"))
        names = [str(name) for name in tables.scalars()]
        return names[0] if names and not _is_ledger(connection, names) else None


def _is_ledger(connection: Connection, names: list[str]) -> bool:
    """Tell whether our first step is on record; other programs have a table of that name, too."""
    if schema_migrations.name not in names:
        return False
    columns = connection.execute(text(f"PRAGMA table_info({schema_migrations.name})")).mappings()
    if "name" not in {column["name"] for column in columns}:
        return False
    first = {"name": MIGRATIONS[0].name}
    return bool(connection.execute(text("SELECT count(*) FROM schema_migrations WHERE name = :name"), first).scalar())
