"""Read-only sight of one directory: nothing outside of it can be read through it, whoever changes it meanwhile.

Each name of a path is opened from the open directory before it and never through a link, so that no check can be
outrun by a directory that becomes a link a moment later. Links are not followed at all, also where they stay inside.
Devices, pipes and sockets are neither opened nor waited for. Two things are the owner's to see to: the path that leads
to the root is trusted, and a hard link or a mount inside the root counts as inside.

Order is that of the paths' bytes, and messages are our own words, so that equal trees give equal text on every machine.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agentcache.errors import SettingsError, ToolFailed

MAX_ENTRIES = 50_000
"""How many files and directories one walk looks at."""
MAX_DEPTH = 60
"""How deep a walk goes: it holds one descriptor a level."""

_COMMON = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_FILE = os.O_RDONLY | _COMMON | getattr(os, "O_NOCTTY", 0)
_DIRECTORY = os.O_RDONLY | _COMMON | getattr(os, "O_DIRECTORY", 0)

_WORDS = {
    errno.ENOENT: "there is no such file; call list_files to see what is there",
    errno.EACCES: "it may not be read",
    errno.EPERM: "it may not be read",
    errno.ELOOP: "it leads through a symbolic link, and links are never followed",
    errno.ENOTDIR: "it leads through a file or a symbolic link as if that were a directory",
    errno.ENAMETOOLONG: "it is longer than a path can be",
    errno.ENXIO: "it is not a regular file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A regular file below the root: its relative path with `/`, and its size."""

    path: str
    size_bytes: int


@dataclass(slots=True, kw_only=True)
class LeftOut:
    """What a walk did not go into or show, counted, so that a reader knows that it is not everything."""

    hidden: int = 0
    links: int = 0
    special: int = 0
    unreadable: int = 0
    unprintable: int = 0
    too_deep: int = 0
    stopped: bool = False

    def sentence(self) -> str:
        """Return the counts as one line, empty when nothing was left out."""
        counts = {
            "hidden": self.hidden,
            "symbolic links": self.links,
            "special files": self.special,
            "unreadable": self.unreadable,
            "names with unprintable characters": self.unprintable,
            f"directories more than {MAX_DEPTH} deep": self.too_deep,
        }
        parts = [f"{count} {what}" for what, count in counts.items() if count]
        if self.stopped:
            parts.append(f"all behind the first {MAX_ENTRIES} entries (begin the pattern with a directory)")
        return f"Left out: {', '.join(parts)}." if parts else ""


class ConfinedDirectory:
    """One directory, read-only. With `hidden=False` names that begin with a dot do not exist in it.

    Raises `SettingsError` when `root` is no directory, and where the system cannot open relative to a directory.
    """

    def __init__(self, root: str | os.PathLike[str], *, hidden: bool = False) -> None:
        if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
            raise SettingsError("file tools need a system that opens files relative to a directory; this one does not")
        try:
            self._root = Path(root).expanduser().resolve(strict=True)
            os.close(os.open(self._root, _DIRECTORY))
        except OSError as error:
            raise SettingsError(f"the root {str(root)!r} is no directory that can be read: {error.strerror}") from error
        self.hidden = hidden

    def parts(self, path: str) -> tuple[str, ...]:
        """Return the names that `path` is made of; raises `ToolFailed` for what is not below the root."""
        if path.startswith(("/", "~")):
            raise ToolFailed(f"{path!r} is refused: paths are relative, as list_files shows them")
        names = tuple(name for name in path.split("/") if name not in {"", "."})
        if ".." in names:
            raise ToolFailed(f"{path!r} is refused: it contains '..'; paths are as list_files shows them")
        if "\0" in path or not path.isprintable():
            raise ToolFailed(f"{path!r} is refused: it has characters that no path shown by list_files has")
        if not self.hidden and any(name.startswith(".") for name in names):
            raise ToolFailed(f"{path!r} is refused: hidden files (a name that begins with a dot) are not shown")
        return names

    def read(self, path: str, *, max_bytes: int) -> bytes:
        """Return the bytes of a regular file; raises `ToolFailed` when it is none, or larger than `max_bytes`."""
        try:
            descriptor = self._opened_file(self.parts(path), path)
            with open(descriptor, "rb") as stream:
                data = stream.read(max_bytes + 1)
        except OSError as error:
            raise _refused(path, error) from error
        if len(data) > max_bytes:
            raise ToolFailed(f"{path!r} is larger than {max_bytes} bytes and is not shown")
        return data

    def walk(self, below: tuple[str, ...], left_out: LeftOut) -> Iterator[FoundFile]:
        """Give the files below a directory in the order of their paths' bytes; nothing when there is no such directory.

        What is left out is counted in `left_out`.
        """
        try:
            descriptor = self._opened_directory(below)
        except OSError:
            return
        prefix = "".join(f"{name}/" for name in below)
        yield from _Walk(hidden=self.hidden, left_out=left_out).files(descriptor, prefix, MAX_DEPTH)

    def _opened_file(self, names: tuple[str, ...], path: str) -> int:
        if not names:
            raise ToolFailed(f"{path!r} is a directory; call list_files")
        directory = self._opened_directory(names[:-1])
        try:
            # Opening a device can have effects of its own, so it is looked at first; what was opened decides.
            _check_regular(os.stat(names[-1], dir_fd=directory, follow_symlinks=False), path)
            descriptor = os.open(names[-1], _FILE, dir_fd=directory)
        finally:
            os.close(directory)
        try:
            _check_regular(os.fstat(descriptor), path)
        except ToolFailed:
            os.close(descriptor)
            raise
        return descriptor

    def _opened_directory(self, names: tuple[str, ...]) -> int:
        descriptor = os.open(self._root, _DIRECTORY)
        for name in names:
            outer = descriptor
            try:
                descriptor = os.open(name, _DIRECTORY, dir_fd=outer)
            finally:
                os.close(outer)
        return descriptor


class _Walk:
    """One pass over a tree that counts what it leaves out."""

    def __init__(self, *, hidden: bool, left_out: LeftOut) -> None:
        self._hidden, self._left_out, self._seen = hidden, left_out, 0

    def files(self, descriptor: int, prefix: str, levels: int) -> Iterator[FoundFile]:
        """Give the files below an open directory, which is closed at the end."""
        try:
            for entry in self._entries(descriptor):
                if self._seen >= MAX_ENTRIES:
                    self._left_out.stopped = True
                    return
                self._seen += 1
                if entry.is_dir(follow_symlinks=False):
                    yield from self._inside(descriptor, entry.name, prefix, levels)
                else:
                    yield from self._described(entry, prefix)
        finally:
            os.close(descriptor)

    def _inside(self, outer: int, name: str, prefix: str, levels: int) -> Iterator[FoundFile]:
        if levels <= 0:
            self._left_out.too_deep += 1
            return
        try:
            inner = os.open(name, _DIRECTORY, dir_fd=outer)
        except OSError:  # not ours to read, gone, or a link by now
            self._left_out.unreadable += 1
            return
        yield from self.files(inner, f"{prefix}{name}/", levels - 1)

    def _described(self, entry: os.DirEntry[str], prefix: str) -> Iterator[FoundFile]:
        try:
            size_bytes = entry.stat(follow_symlinks=False).st_size
        except OSError:  # gone since the directory was read
            self._left_out.unreadable += 1
            return
        yield FoundFile(path=f"{prefix}{entry.name}", size_bytes=size_bytes)

    def _entries(self, descriptor: int) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(descriptor) as entries:
                return sorted((entry for entry in entries if self._is_shown(entry)), key=_by_bytes)
        except OSError:
            self._left_out.unreadable += 1
            return []

    def _is_shown(self, entry: os.DirEntry[str]) -> bool:
        left_out = self._left_out
        if entry.name.startswith(".") and not self._hidden:
            left_out.hidden += 1
        elif not entry.name.isprintable():  # a line end in a name could pass for a line of the listing
            left_out.unprintable += 1
        elif entry.is_symlink():
            left_out.links += 1
        elif not entry.is_dir(follow_symlinks=False) and not entry.is_file(follow_symlinks=False):
            left_out.special += 1
        else:
            return True
        return False


def _by_bytes(entry: os.DirEntry[str]) -> bytes:
    """Sort a directory where its contents belong, so that a walk in this order is one of whole paths in byte order."""
    return os.fsencode(entry.name) + (b"/" if entry.is_dir(follow_symlinks=False) else b"")


def _check_regular(status: os.stat_result, path: str) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise ToolFailed(f"{path!r} is a symbolic link, and links are never followed")
    if stat.S_ISDIR(status.st_mode):
        raise ToolFailed(f"{path!r} is a directory; call list_files")
    if not stat.S_ISREG(status.st_mode):
        raise ToolFailed(f"{path!r} is not a regular file")


def _refused(path: str, error: OSError) -> ToolFailed:
    number = error.errno or 0
    return ToolFailed(f"{path!r} is refused: {_WORDS.get(number, errno.errorcode.get(number, 'it cannot be read'))}")
