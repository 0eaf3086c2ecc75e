"""Inserts into the ledger's tables that may meet their row already there, in the words of one database.

`table` is a name in `schema.py`, `dialect` is `sqlite` or `postgresql`. The latter's module takes a quarter of what a
ledger in a file needs of SQLAlchemy, so it is imported for a server only. Statements are made once.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import Insert
from sqlalchemy.dialects import sqlite

from agentcache.stores.schema import metadata


@cache
def insert_or_leave(table: str, dialect: str, *, key: tuple[str, ...] | None = None) -> Insert:
    """Return an insert that leaves a row as it is where there is one of its key (`None`: of any key of the table)."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # start-up time, as above

        return postgresql.insert(metadata.tables[table]).on_conflict_do_nothing(index_elements=key)
    return sqlite.insert(metadata.tables[table]).on_conflict_do_nothing(index_elements=key)


@cache
def insert_or_change(table: str, dialect: str, *, key: tuple[str, ...], changing: tuple[str, ...]) -> Insert:
    """Return an insert that changes the columns `changing` of a row where there is one of its key."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # start-up time, as above

        new = postgresql.insert(metadata.tables[table])
        return new.on_conflict_do_update(index_elements=key, set_={name: new.excluded[name] for name in changing})
    adding = sqlite.insert(metadata.tables[table])
    return adding.on_conflict_do_update(index_elements=key, set_={name: adding.excluded[name] for name in changing})
