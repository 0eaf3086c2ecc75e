"""Writes what fixing came to: each file whole or not at all, with its permission bits and byte order mark."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from agentcache.errors import TargetError

_MARK = b"\xef\xbb\xbf"


def write_texts(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Write the texts of `after` (path -> text, line ends as they are); a path that `before` lacks is a new file.

    Links are followed. Before anything is written every file is compared with `before`, so that nobody's work of the
    meantime is lost.

    Raises `TargetError` for a file that has changed since it was read, a new one that is there already, and one that
    cannot be read or written.
    """
    planned = [
        (Path(os.path.realpath(path)), _bytes(Path(path), before.get(path), text)) for path, text in after.items()
    ]
    for target, content in planned:
        _replace(target, content)


def _bytes(path: Path, before: str | None, text: str) -> bytes:
    """Return what is to be written, once it is sure that the file is still what was read."""
    try:
        old = path.read_bytes() if os.path.lexists(path) else None
    except OSError as error:
        raise TargetError(f"cannot read {path}: {error.strerror}") from error
    mark = _MARK if old is not None and old.startswith(_MARK) else b""
    if old != (None if before is None else mark + before.encode()):
        raise TargetError(f"{path} was changed while it was linted, and is left as it is; run the command again")
    return mark + text.encode()


def _replace(path: Path, content: bytes) -> None:
    """Write beside the file and rename, so that a reader sees the old text or the new one and never half of one."""
    temporary = ""
    try:
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise TargetError(f"cannot write {path}: {error.strerror}") from error


def _umask() -> int:
    """Return the bits that new files lack; the only way to ask is to set it."""
    bits = os.umask(0)
    os.umask(bits)
    return bits
