"""Which ledger a URL means, and how it is opened.

Decides what names a database: nothing at all, a path, or a URL; knows nothing of tables. A database that cannot be
opened is a `StoreError` in one sentence, with the path and what to do.
"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from agentcache.errors import StoreError
from agentcache.shown_url import shown_url
from agentcache.stores.memory import MemoryLedger
from agentcache.stores.private_files import make_private
from agentcache.stores.protocols import Ledger

if TYPE_CHECKING:
    from sqlalchemy import URL

DEFAULT_PATH = ".agentcache/ledger.db"
"""Where the ledger of a project lies, from the directory that a program is started in."""

_IN_MEMORY = frozenset({"memory:", "sqlite://", "sqlite:///:memory:", "sqlite+aiosqlite:///:memory:"})
_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+aiosqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_FILE_ENDINGS = (".db", ".sqlite", ".sqlite3")
_FORMS = "a path that ends in .db, sqlite:///PATH, postgresql://USER:PASSWORD@HOST/DATABASE, or memory:"


async def open_ledger(url: str | None = None) -> Ledger:
    """Open the ledger that `url` names and bring it to today's schema; missing directories are made.

    `None` is the SQLite file `.agentcache/ledger.db` in the working directory. Otherwise a path that ends in `.db`
    (or `.sqlite`, `.sqlite3`), `sqlite:///PATH`, `postgresql://…`, or `memory:`, which keeps nothing. Close it when
    done. Raises `StoreError` when the URL means nothing here or the database cannot be used (a SQLite file of another
    program is not touched), `SchemaTooNew` when a newer agentcache wrote it.
    """
    if is_in_memory(url):
        return MemoryLedger()
    # Start-up time: SQLAlchemy takes a fifth of a second to import, and declaring agents never needs it.
    from agentcache.stores.foreign_files import refuse_foreign_file
    from agentcache.stores.sql import open_sql_ledger

    normal = normal_url(url)
    where = normal.set(query={}).render_as_string(hide_password=True)  # a password may stand in an option
    if normal.get_backend_name() == "sqlite":
        where = normal.database or DEFAULT_PATH
        await asyncio.to_thread(_make_directory, Path(where))
        await asyncio.to_thread(refuse_foreign_file, Path(where))
    elif find_spec("asyncpg") is None:
        raise StoreError(
            f"{where}: PostgreSQL needs the package asyncpg; install it (pip install 'agentcache-claude[postgres]')"
        )
    return await open_sql_ledger(normal, where=where)


def is_in_memory(url: str | None) -> bool:
    """Tell whether a ledger's URL stands for one that is gone with its process."""
    return url in _IN_MEMORY


def normal_url(url: str | None) -> URL:
    """Return the URL with the driver that is used for it. Raises `StoreError` for one that means nothing here.

    `x.db`, `sqlite:///x.db` and `sqlite+aiosqlite:///x.db` are the same; so are `postgres://`, `postgresql://` and
    `postgresql+asyncpg://`. A `~` at the start of a path is the home directory.
    """
    from sqlalchemy import URL, make_url  # start-up time, as above
    from sqlalchemy.exc import ArgumentError

    text = DEFAULT_PATH if url is None else url
    if "://" not in text:
        if not text.endswith(_FILE_ENDINGS):
            raise StoreError(f"{shown_url(text)!r} names no database; give {_FORMS}")
        return URL.create("sqlite", database=_expanded(text))
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"{shown_url(text)!r} is no database URL; give {_FORMS}") from error
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None or not parsed.database:
        lack = "names no database" if driver else f"asks for {parsed.drivername!r}, which is not supported"
        raise StoreError(f"{shown_url(text)!r} {lack}; give {_FORMS}")
    if parsed.query and driver == "sqlite":
        raise StoreError(
            f"{shown_url(text)!r} has options, and a SQLite ledger takes none; leave out what follows the '?'"
        )
    database = _expanded(parsed.database) if driver == "sqlite" else parsed.database
    return parsed.set(drivername=driver, database=database)


def _make_directory(path: Path) -> None:
    if path.is_dir():
        raise StoreError(
            f"{path}: is a directory, and the ledger is a file; name a file in it, such as {path}/ledger.db"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{path}: its directory cannot be made ({error.strerror}); name a path that can be written"
        ) from error
    make_private(path)


def _expanded(path: str) -> str:
    return str(Path(path).expanduser()) if path.startswith("~") else path
