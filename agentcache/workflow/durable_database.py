"""Where durable runs are kept, and as what: the database of DBOS, its settings, and JSON for every value in it.

DBOS would pickle what it keeps; here nothing is. Its own SQLite engine has no write-ahead log; ours has.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dbos import DBOSClient, DBOSConfig, Serializer

from agentcache.errors import SettingsError
from agentcache.runtime.recorded_errors import error_from_json, error_to_json
from agentcache.stores.opening import is_in_memory, normal_url
from agentcache.stores.sqlite_database import SQLITE_VERSION, blocking_sqlite_engine
from agentcache.workflow.durable_runs import Durable

FORMAT = "agentcache-1"
"""The application version under which DBOS keeps our tasks: they go on under any version of the author's code."""

TASK = "agentcache.task"
"""The name of the one workflow of DBOS that all our tasks are."""

SCHEMA = "agentcache_durable"
"""The PostgreSQL schema of DBOS's tables."""


def database_of(settings: Durable, store: str | None) -> str:
    """Return the URL of the database for durable runs, given that of the ledger.

    Raises `SettingsError` for a ledger in memory, which says nothing of where to keep anything, for items to be spread
    from a file, and for a file where this Python's SQLite is too old.
    """
    url = settings.url or _beside(store)
    if normal_url(url).get_backend_name() == "sqlite":
        if settings.spread:
            raise SettingsError(
                "Durable(spread=True) hands items to other processes, which share a PostgreSQL database"
            )
        require_sqlite(sys.version_info[:2], SQLITE_VERSION)
    return url


def require_sqlite(python: tuple[int, int], sqlite: tuple[int, int, int]) -> None:
    """Raise `SettingsError` where DBOS cannot keep anything in a file: on Python 3.12 and newer it wants `subsec`.

    Source: `get_sqlite_timestamp_expr` of dbos 3.4 (`_migration.py`); SQLite has that modifier from 3.42 on.
    """
    if python >= (3, 12) and sqlite < (3, 42, 0):
        has = ".".join(map(str, sqlite))
        raise SettingsError(
            f"durable runs in a file need SQLite 3.42 on Python 3.12 and newer, and this Python has {has}: name a "
            "PostgreSQL database in Durable(url=…), or take a Python that was built with a newer SQLite"
        )


def _beside(store: str | None) -> str:
    if is_in_memory(store):
        raise SettingsError("a durable run outlives its process, and a ledger in memory does not: give store a file")
    ledger = normal_url(store)
    if ledger.get_backend_name() == "sqlite":
        path = str(ledger.database)
        return f"sqlite:///{path.removesuffix('.db')}.durable.db"
    return ledger.render_as_string(hide_password=False)


class JsonSerializer(Serializer):
    """Keeps values and errors as JSON."""

    def serialize(self, data: object) -> str:
        """Return a value or an error as text; raises `TypeError` for what JSON cannot hold."""
        kept = {"error": error_to_json(data)} if isinstance(data, Exception) else {"value": data}
        return json.dumps(kept, separators=(",", ":"))

    def deserialize(self, serialized_data: str) -> object:
        """Return what `serialize` was given."""
        kept = json.loads(serialized_data)
        return error_from_json(kept["error"]) if "error" in kept else kept["value"]

    def name(self) -> str:
        """Return the name that stands beside every value in the database."""
        return "agentcache_json"


def config_of(url: str, name: str, settings: Durable) -> DBOSConfig:
    """Return the settings of DBOS for the database at `url`, and a process of this name."""
    normal = normal_url(url)
    _silence()
    config: DBOSConfig = {
        "name": "agentcache",
        "application_version": FORMAT,
        "executor_id": name,
        "serializer": JsonSerializer(),
        "notification_listener_polling_interval_sec": settings.poll_s,
        "log_level": "CRITICAL",  # what goes wrong is raised where it is asked for
    }
    if normal.get_backend_name() == "sqlite":
        config["system_database_url"] = f"sqlite:///{normal.database}"
        config["system_database_engine"] = blocking_sqlite_engine(str(normal.database))
    else:
        config["system_database_url"] = normal.set(drivername="postgresql").render_as_string(hide_password=False)
        config["dbos_system_schema"] = SCHEMA
    return config


@contextmanager
def opened_from_outside(url: str) -> Iterator[DBOSClient]:
    """Open the database at `url` to look at what it keeps and to remove it; nothing is made, migrated or performed."""
    normal = normal_url(url)
    _silence()
    if normal.get_backend_name() == "sqlite":
        engine = blocking_sqlite_engine(str(normal.database))
        client = DBOSClient(system_database_engine=engine, serializer=JsonSerializer(), retry_connection_errors=False)
    else:
        engine = None
        client = DBOSClient(
            system_database_url=normal.set(drivername="postgresql").render_as_string(hide_password=False),
            dbos_system_schema=SCHEMA,
            serializer=JsonSerializer(),
            retry_connection_errors=False,
        )
    try:
        yield client
    finally:
        client.destroy()
        if engine is not None:
            engine.dispose()


def _silence() -> None:
    logger = logging.getLogger("dbos")
    if not logger.handlers:  # else it makes one that holds on to the standard error stream of this moment
        logger.addHandler(logging.NullHandler())
