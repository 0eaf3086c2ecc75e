"""Statements that write, executed the short way on a SQLite file: prepared once, and by the driver itself.

A statement of SQLAlchemy is looked up, bound and wrapped anew each time that it is executed, which takes longer than
SQLite takes for the row. The types of the columns still say how a value is stored, and errors are SQLAlchemy's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from sqlalchemy import Connection, Insert, Update
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import DBAPIError, StatementError

Values: TypeAlias = Mapping[str, object]
"""By the names of the statement's parameters, which for an insert are its columns."""

_DIALECT = SQLiteDialect_pysqlite(dbapi=sqlite3)


def execute(connection: Connection, statement: Insert | Update, rows: Sequence[Values]) -> int:
    """Execute a statement for each of these in the transaction that the connection is in; return rows changed.

    Raises what SQLAlchemy raises. A server is asked in SQLAlchemy's way: there, the network is what takes time.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        return connection.execute(statement, [dict(row) for row in rows]).rowcount
    prepared = _prepared(statement)
    values = [prepared.values(row) for row in rows]
    try:
        return driver.executemany(prepared.text, values).rowcount
    except sqlite3.Error as error:
        raise driver_error(error, prepared.text) from error


def driver_error(error: sqlite3.Error, statement: str) -> Exception:
    """Return SQLAlchemy's error for one of the driver's."""
    return DBAPIError.instance(statement, None, error, sqlite3.Error, dialect=_DIALECT)


@dataclass(frozen=True, slots=True)
class _Prepared:
    text: str
    parameters: tuple[tuple[str, Callable[[object], object] | None], ...]
    """Name of each value in the order of the text, and what it becomes when it is stored."""

    def values(self, row: Values) -> list[object]:
        try:
            return [row[name] if stored is None else stored(row[name]) for name, stored in self.parameters]
        except (TypeError, ValueError, AttributeError) as error:
            raise StatementError(f"a value that cannot be stored: {error}", self.text, None, error) from error


@cache
def _prepared(statement: Insert | Update) -> _Prepared:
    compiled = statement.compile(dialect=_DIALECT)
    types = {name: compiled.binds[name].type.dialect_impl(_DIALECT) for name in compiled.positiontup or ()}
    return _Prepared(str(compiled), tuple((name, kind.bind_processor(_DIALECT)) for name, kind in types.items()))
