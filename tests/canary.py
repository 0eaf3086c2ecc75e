"""A key that is recognised wherever it turns up, and the search for it in all that the suite leaves behind.

Every runtime of the suite that is given a key or a server signs with this one, and its clients send it in a header
beside, as programs behind a gateway do. What must never hold it: a file that a test made, a line that it printed or
logged.
"""

from __future__ import annotations

import base64
import gzip
import lzma
from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from agentcache.workflow.runtime import Runtime


class Canary:
    """A key and the search for it: plain, and as base64 wherever it begins in what was encoded."""

    def __init__(self, key: str) -> None:
        self.key = key
        coded = [base64.b64encode(b"\0" * lead + key.encode()) for lead in range(3)]
        self._spellings = (
            key.encode(),
            key.encode("utf-16-le"),
            *(text[4 if lead else 0 : -4] for lead, text in enumerate(coded)),
        )

    def is_in(self, data: bytes) -> bool:
        """Tell whether the key is somewhere in these bytes."""
        return any(spelling in data for spelling in self._spellings)

    def files_with_it(self, folder: Path) -> Iterator[Path]:
        """Give the files below a folder that hold the key, packed ones unpacked."""
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and self.is_in(_content(path)):
                yield path

    def judge(self, report: pytest.TestReport) -> None:
        """Fail a test at its end if what it printed or logged, or failed with, holds the key."""
        texts = [report.longreprtext, *(text for _, text in report.sections)]
        if report.when == "teardown" and any(self.is_in(text.encode("utf-8", "surrogatepass")) for text in texts):
            report.outcome = "failed"
            report.longrepr = f"{report.nodeid} printed or logged the key that it signed with"


_NO_ROOM = 2**20
"""Bytes. A larger file that takes no room on the disk is one hole: it was made for what would read all of it."""


def _content(path: Path) -> bytes:
    status = path.stat()
    if status.st_size > _NO_ROOM and status.st_blocks == 0:
        return b""
    data = path.read_bytes()
    try:
        if path.suffix == ".gz":
            return gzip.decompress(data)
        return lzma.decompress(data) if path.suffix == ".xz" else data
    except (OSError, EOFError, lzma.LZMAError):
        return data  # damaged on purpose


CANARY = Canary("sk-ant-canary-7Q2xWv9LrTzB")
"""The suite's."""

HEADER = f"x-gateway-key: {CANARY.key}"
"""For `ANTHROPIC_CUSTOM_HEADERS`, which the SDK sends with every request."""


class SigningWithIt:
    """Has runtimes that are given a key or a server sign with the canary, unless a test says that its keys matter."""

    def __init__(self) -> None:
        self.active = True

    def install(self) -> None:
        original = Runtime.__init__

        @wraps(original)
        def signed(runtime: Runtime, *args: Any, **kwargs: Any) -> None:
            if self.active and (kwargs.get("api_key") or kwargs.get("base_url")):
                kwargs["api_key"] = CANARY.key
            original(runtime, *args, **kwargs)

        setattr(Runtime, "__init__", signed)  # noqa: B010  # which mypy lets nobody assign
