"""What a database's errors mean: which are a row's fault, what to tell of the others, and what to do about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from agentcache.errors import StoreError

BUSY_TIMEOUT_S = 30.0
"""How long a SQLite connection waits for the writer of another process, and who reads PostgreSQL for a locked table."""

_ADVICE = (
    ("not a database", "it is no SQLite database; move it away, or name another file"),
    ("malformed", "it is damaged; move it away, or name another file"),
    ("unable to open", "check that its directory exists and can be written"),
    ("readonly", "it cannot be written; check its permissions, or name another file"),
    ("locked", f"another program has kept it locked for more than {BUSY_TIMEOUT_S:.0f} s; end that one first"),
    ("lock timeout", f"another program has kept it locked for more than {BUSY_TIMEOUT_S:.0f} s; end that one first"),
    ("disk is full", "make room on the disk"),
    ("already exists", "it has tables of another program with our names; name a database of its own"),
    ("does not exist", "make it on the server first, or name another one in the URL"),
    ("FOREIGN KEY", "the run that the row belongs to is not there; start_run comes first"),
    ("foreign key", "the run that the row belongs to is not there; start_run comes first"),
    ("UNIQUE", "a row of this id is there already; every row needs an id of its own"),
    ("unique", "a row of this id is there already; every row needs an id of its own"),
    ("password", "check user and password in the URL"),
    ("Connect call failed", "check host and port in the URL, and that the server runs"),
    ("not known", "check the host in the URL"),
    ("unexpected keyword argument", "take that option out of the URL"),
)


class NotNow(Exception):  # nothing went wrong, and nobody is told
    """A write would have to wait."""


def may_not_write(error: BaseException) -> bool:
    """Tell whether a database refused to be written: a user who only reads, a standby, a file that others lock."""
    told = str(getattr(error, "orig", None) or error)
    refusals = ("readonly database", "read-only transaction", "permission denied", "database is locked", "lock timeout")
    return any(fragment in told for fragment in refusals)


def is_fault_of_a_row(error: BaseException | None) -> bool:
    """Tell a row that cannot be stored (an id twice, a missing run, a value of no JSON) from a database in trouble."""
    return isinstance(error, IntegrityError | DataError) or not isinstance(error, DBAPIError | OSError)


def store_error(error: BaseException, *, where: str, doing: str) -> StoreError:
    """Return the `StoreError` for a database's error: what failed, where, and what to do about it."""
    cause = str(getattr(error, "orig", None) or error).strip().split("\n")[0] or type(error).__name__
    advice = next((told for fragment, told in _ADVICE if fragment in cause), None)
    return StoreError(f"{where}: cannot {doing}: {cause}" + (f"; {advice}" if advice else ""))


@contextmanager
def told(doing: str, *, where: str) -> Iterator[None]:
    """Turn what a database raises into a `StoreError`."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise store_error(error, where=where, doing=doing) from error
