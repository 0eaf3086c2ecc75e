"""Which memo store a URL means. Nothing is connected to yet: a memo that cannot be reached is one to go without."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec

from agentcache.errors import SettingsError, StoreError
from agentcache.stores.memo_entries import MemoStore
from agentcache.stores.memo_memory import MemoryMemoStore
from agentcache.stores.opening import normal_url

_REDIS = ("redis://", "rediss://", "unix://")
_IN_MEMORY = (None, "memory:")


def open_memo(url: str | None, *, clock: Callable[[], float] = time.time) -> MemoStore:
    """Return the store of kept results that `url` names; close it when done.

    `redis://HOST:PORT/NUMBER` (`rediss://`, `unix://`; extra `redis`), a path that ends in `.db` (or `.sqlite`,
    `.sqlite3`) or `sqlite:///PATH` for a SQLite file, made when something is kept; `None` and `memory:` for one that
    lives in this process and is empty.

    Raises `SettingsError` for a URL that means nothing here, and for Redis without its package. The store's methods
    raise `StoreError`.
    """
    if url in _IN_MEMORY:
        return MemoryMemoStore()
    if url.startswith(_REDIS):
        if find_spec("redis") is None:
            raise SettingsError(
                "a memo in Redis needs the package redis; install it (pip install 'agentcache-claude[redis]')"
            )
        from agentcache.stores.redis import RedisMemoStore  # an optional extra, and the only way to it

        return RedisMemoStore(url, clock=clock)
    try:
        normal = normal_url(url)
    except StoreError as error:
        raise SettingsError(f"memo: {error}; or redis://HOST:PORT for one that machines share") from error
    if normal.get_backend_name() != "sqlite" or normal.database in (None, ":memory:"):
        raise SettingsError(
            "a memo lies in a SQLite file or in Redis; give a path that ends in .db, sqlite:///PATH, or redis://HOST"
        )
    # Start-up time: most programs keep results in memory only.
    from agentcache.stores.memo_sqlite import SqliteMemoStore

    return SqliteMemoStore(str(normal.database), clock=clock)
