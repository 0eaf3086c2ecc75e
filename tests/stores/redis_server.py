"""A Redis for tests: databases of the shared server, and a server of one's own that a test may stop."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.canary import CANARY

if TYPE_CHECKING:
    from redis import Redis

REDIS_URL = os.environ.get("AGENTCACHE_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


def need_redis() -> None:
    """Skip the test where there is no Redis to run it on; in CI that is a failure."""
    if find_spec("redis") is None:
        pytest.skip("Redis is tested where its package is installed")
    from redis import Redis
    from redis.exceptions import ConnectionError as NoConnection

    try:
        with Redis.from_url(REDIS_URL) as client:
            client.ping()
    except NoConnection as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Redis here ({error}); AGENTCACHE_TEST_REDIS_URL names another")


@contextmanager
def own_keys() -> Iterator[str]:
    """Give a prefix that nobody else uses on the shared server; its keys are gone after the block.

    None of them may hold the key that the suite signs with.
    """
    from redis import Redis

    prefix = f"agentcache-test:{uuid.uuid4().hex}"
    try:
        yield prefix
    finally:
        with Redis.from_url(REDIS_URL) as client:
            kept = {key: _value(client, key) for key in client.scan_iter(match=f"{prefix}:*")}
            if kept:
                client.delete(*kept)
        assert not [key for key, value in kept.items() if CANARY.is_in(key + value)]


def _value(client: Redis, key: bytes) -> bytes:
    """Return what is kept under a key, whatever its type; nothing where it has just expired."""
    kind = client.type(key)
    if kind == b"none":
        return b""
    read = {b"string": client.get, b"hash": client.hgetall, b"set": client.smembers}[
        kind if isinstance(kind, bytes) else kind.encode()
    ]
    return repr(read(key)).encode()


@dataclass
class OwnRedis:
    """A server on a free port that keeps nothing on disk."""

    folder: Path
    port: int = field(default_factory=lambda: _free_port())
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ["--port", str(self.port), "--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(["redis-server", "--bind", "127.0.0.1", *options], stdout=log, stderr=log)
        ends_at = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < ends_at, (self.folder / "redis.log").read_text()
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def own_redis(folder: Path) -> Iterator[OwnRedis]:
    """Run a server for one block; skip where the program is not installed, which in CI is a failure."""
    if shutil.which("redis-server") is None and not os.environ.get("CI"):
        pytest.skip("a Redis that can be stopped is tested where redis-server is installed")
    server = OwnRedis(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
