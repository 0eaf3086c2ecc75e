"""New files that hold what people and models said are their owner's alone, whatever the umask.

Ledgers, kept results, durable runs, request logs and exported conversations are; a file that is there keeps its mode,
so that whoever wants to share one says so once with `chmod`. SQLite gives its `-wal` and `-shm` the mode of the file.
"""

from __future__ import annotations

import os
from contextlib import suppress

OWNERS_ALONE = 0o600


def make_private(path: str | os.PathLike[str]) -> None:
    """Make an empty file that only its owner may read and write; nothing where there is one, or none can be made.

    Whoever opens it then tells in its own words what cannot be done.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNERS_ALONE))
