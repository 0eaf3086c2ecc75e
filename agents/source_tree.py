"""Read-only sight of one directory of source code.

This module decides what a reviewer may see. Everything is named relative to the root; `..`, absolute paths,
symbolic links and special files are refused, so nothing outside the root can be read through it. Version-control
and cache directories are not entered, and files that usually hold live secrets are listed but never read. Sizes
are bounded: long answers come in pages, large and binary files are named but not shown. Answers are text, sorted,
and the same for the same directory.

It does not know who asks or why: tools, prompts and models are elsewhere. It trusts the owner of the directory
not to swap directories for links while a review runs; the last component of a path is safe even then.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Literal

from agentcache import TargetError, ToolFailed

FileKind = Literal["text", "binary", "large", "withheld", "unreadable"]

MAX_FILES = 20_000
MAX_FILE_BYTES = 1_000_000
MAX_SEARCH_BYTES = 50_000_000
LIST_PAGE_FILES = 200
READ_PAGE_LINES = 400
READ_PAGE_CHARACTERS = 30_000
LINE_CHARACTERS = 500
SEARCH_MATCHES = 100
SEARCH_TEXT_CHARACTERS = 200
SNIFFED_BYTES = 8_192

# Written by tools, not by people; `.git/config` may also hold a token.
SKIPPED_DIRECTORIES = frozenset({
    ".git", ".hg", ".svn", ".tox", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".pytest_cache",
    ".ruff_cache", ".hypothesis", ".idea", ".vscode", ".agentcache", ".eggs", ".gradle", ".next", ".terraform",
})  # fmt: skip

# A review sends what it reads to a model: these names usually hold credentials that are in use.
WITHHELD_NAMES = (
    ".env", ".env.local", ".env.production", ".netrc", ".pgpass", ".npmrc", ".pypirc", "id_rsa", "id_ed25519",
    "id_ecdsa", "*.pem", "*.p12", "*.pfx", "*.keystore", "*.jks", "*.kdbx",
)  # fmt: skip

_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)  # absent on Windows, as are the two below
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe would wait for its writer
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)  # present on Windows only
)


class SourceRefused(ToolFailed):
    """A path that cannot be listed or read; the message tells the model why and what to do instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file below the root: `path` is relative, with `/`; only a `text` file can be read."""

    path: str
    size_bytes: int
    kind: FileKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """What a listing leaves out, counted, so that a reader knows that it is not everything."""

    directories: int = 0
    links: int = 0
    special: int = 0
    unreadable: int = 0
    unprintable: int = 0
    truncated: bool = False

    def sentence(self) -> str:
        """Return the counts as one line, empty when nothing was left out."""
        counts = {
            "version-control or cache directories": self.directories,
            "symbolic links": self.links,
            "special files": self.special,
            "unreadable directories": self.unreadable,
            "names with unprintable characters": self.unprintable,
        }
        parts = [f"{count} {what}" for what, count in counts.items() if count]
        if self.truncated:
            parts.append(f"everything after the first {MAX_FILES} files")
        return f"Left out: {', '.join(parts)}." if parts else ""


class SourceTree:
    """One directory, read-only. The list of files is taken once, at first use; contents are read when asked for.

    Raises `TargetError` when `root` does not exist, is no directory or cannot be listed. The methods that answer
    a model return text and raise `SourceRefused`.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        given = Path(root).expanduser()
        try:
            self._root = given.resolve(strict=True)
            os.scandir(self._root).close()
        except NotADirectoryError as error:
            raise TargetError(f"{str(root)!r} is a file; give the directory that holds it") from error
        except OSError as error:
            raise TargetError(f"cannot read the directory {str(root)!r}: {error.strerror}") from error

    @property
    def name(self) -> str:
        """The directory's own name, without the path that leads to it."""
        return self._root.name or "root"

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """Every file below the root that is not left out, sorted by path."""
        return self._listing[0]

    @property
    def skipped(self) -> Skipped:
        """What `files` leaves out."""
        return self._listing[1]

    @cached_property
    def _listing(self) -> tuple[tuple[SourceFile, ...], Skipped]:
        walk = _Walk()
        found = [self._described(path, size) for path, size in walk.files(self._root, "")]
        return tuple(sorted(found, key=lambda file: file.path.split("/"))), walk.skipped()

    def _described(self, path: str, size_bytes: int) -> SourceFile:
        kind: FileKind = "text"
        if _is_withheld(path):
            kind = "withheld"
        elif size_bytes > MAX_FILE_BYTES:
            kind = "large"
        else:
            try:
                kind = "binary" if b"\0" in self._bytes(path, SNIFFED_BYTES) else "text"
            except SourceRefused:
                kind = "unreadable"
        return SourceFile(path=path, size_bytes=size_bytes, kind=kind)

    def list_files(self, directory: str = ".", offset: int = 0) -> str:
        """Return one page of the files below `directory`: a header, then `path  (N bytes)` lines."""
        inside = self._below(directory)
        page = inside[max(offset, 0) : max(offset, 0) + LIST_PAGE_FILES]
        if not page:
            empty = f"No files under {directory!r}" if not inside else f"No files from offset {offset}"
            return _joined([f"{empty}; {len(inside)} in all.", self.skipped.sentence()])
        start = max(offset, 0)
        more = f" Next page: offset={start + len(page)}." if start + len(page) < len(inside) else ""
        header = f"Files {start + 1}-{start + len(page)} of {len(inside)} under {directory!r}.{more}"
        lines = [
            f"{file.path}  ({file.size_bytes} bytes{'' if file.kind == 'text' else ', ' + file.kind})" for file in page
        ]
        return _joined([header, *lines, self.skipped.sentence()])

    def read_file(self, path: str, start_line: int = 1) -> str:
        """Return one page of `path`: a header, then each line as its number, a tab and its text."""
        if _is_withheld(path):
            raise SourceRefused(f"{path!r} usually holds live secrets and is never read; review where it is used")
        data = self._bytes(path, MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise SourceRefused(f"{path!r} is larger than {MAX_FILE_BYTES} bytes and is not shown; use search_text")
        if b"\0" in data:
            raise SourceRefused(f"{path!r} is a binary file and is not shown")
        lines = _lines(data)
        if not lines:
            return f"File {path!r} is empty."
        first = max(start_line, 1)
        if first > len(lines):
            raise SourceRefused(f"{path!r} has {len(lines)} lines; start_line={start_line} is behind its end")
        page = _page(lines, first)
        last = first + len(page) - 1
        more = f" Next page: start_line={last + 1}." if last < len(lines) else ""
        note = " Not valid UTF-8: unreadable bytes are shown as \N{REPLACEMENT CHARACTER}." if _is_damaged(data) else ""
        header = f"File {path!r}, lines {first}-{last} of {len(lines)}.{more}{note}"
        return "\n".join([header, *page])

    def line_count(self, path: str) -> int:
        """Return how many lines `path` has; 1 when it is empty, 0 when it cannot be read."""
        try:
            return max(len(_lines(self._bytes(path, MAX_FILE_BYTES))), 1)
        except SourceRefused:
            return 0

    def search_text(self, text: str, directory: str = ".", ignore_case: bool = False) -> str:
        """Return `path:line: text` for each line below `directory` that contains `text`, as written, no pattern."""
        if not text.strip() or "\n" in text:
            raise SourceRefused("give a piece of text within one line to search for")
        wanted = text.casefold() if ignore_case else text
        found: list[str] = []
        total = read_bytes = 0
        for file in self._below(directory):
            if file.kind != "text":
                continue
            read_bytes += file.size_bytes
            if read_bytes > MAX_SEARCH_BYTES:
                found.append(f"Stopped before {file.path!r}: the directory is too large; search a smaller one.")
                break
            for number, line in enumerate(self._searched(file.path), start=1):
                if wanted in (line.casefold() if ignore_case else line):
                    total += 1
                    if total <= SEARCH_MATCHES:
                        found.append(f"{file.path}:{number}: {_cut(line.strip(), SEARCH_TEXT_CHARACTERS)}")
        shown = f" The first {SEARCH_MATCHES} are shown; search a smaller directory." if total > SEARCH_MATCHES else ""
        return _joined([f"{total} lines under {directory!r} contain {text!r}.{shown}", *found])

    def _searched(self, path: str) -> list[str]:
        try:
            return _lines(self._bytes(path, MAX_FILE_BYTES))
        except SourceRefused:  # gone or changed since the list was taken: there is nothing to find in it
            return []

    def _below(self, directory: str) -> list[SourceFile]:
        parts = self._located(directory, want_directory=True)
        prefix = "/".join(parts) + "/" if parts else ""
        return [file for file in self.files if file.path.startswith(prefix)]

    def _bytes(self, path: str, limit: int) -> bytes:
        """Return at most `limit` bytes of `path` after every check on where it leads."""
        target = self._root.joinpath(*self._located(path, want_directory=False))
        try:
            descriptor = os.open(target, _OPEN_FLAGS)
            with open(descriptor, "rb") as stream:
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    raise SourceRefused(f"{path!r} is not a regular file")
                return stream.read(limit)
        except OSError as error:
            raise SourceRefused(f"cannot read {path!r}: {error.strerror}") from error

    def _located(self, path: str, *, want_directory: bool) -> tuple[str, ...]:
        """Return the parts of `path` below the root, each one checked to exist and to be no link."""
        parts = _checked_parts(path)
        current = self._root
        mode = stat.S_IFDIR
        for part in parts:
            current = current / part
            try:
                mode = os.lstat(current).st_mode
            except OSError as error:
                advice = "call list_files to see what is there"
                raise SourceRefused(f"cannot read {path!r}: {error.strerror}; {advice}") from error
            except ValueError as error:  # characters that no file name can hold
                raise SourceRefused(f"{path!r} is not a path") from error
            if stat.S_ISLNK(mode):
                raise SourceRefused(f"{path!r} leads through a symbolic link, which is never followed")
        if want_directory and not stat.S_ISDIR(mode):
            raise SourceRefused(f"{path!r} is a file; give a directory, or call read_file")
        if not want_directory and stat.S_ISDIR(mode):
            raise SourceRefused(f"{path!r} is a directory; call list_files")
        return parts


class _Walk:
    """One pass over a directory in sorted order that counts what it leaves out."""

    def __init__(self) -> None:
        self._left_out = {"directories": 0, "links": 0, "special": 0, "unreadable": 0, "unprintable": 0}
        self._seen = 0
        self._truncated = False

    def skipped(self) -> Skipped:
        return Skipped(**self._left_out, truncated=self._truncated)

    def files(self, directory: Path, prefix: str) -> Iterator[tuple[str, int]]:
        pending = [(directory, prefix)]
        while pending:
            here, below = pending.pop()
            subdirectories = []
            for entry in self._entries(here):
                if self._is_left_out(entry):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    subdirectories.append((Path(entry.path), f"{below}{entry.name}/"))
                    continue
                if self._seen >= MAX_FILES:
                    self._truncated = True
                    return
                self._seen += 1
                yield f"{below}{entry.name}", entry.stat(follow_symlinks=False).st_size
            pending.extend(reversed(subdirectories))

    def _entries(self, directory: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(directory) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError:
            self._left_out["unreadable"] += 1
            return []

    def _is_left_out(self, entry: os.DirEntry[str]) -> bool:
        reason = None
        if not entry.name.isprintable():  # a line end in a name could pass for a line of the listing
            reason = "unprintable"
        elif entry.is_symlink():
            reason = "links"
        elif entry.is_dir(follow_symlinks=False):
            reason = "directories" if entry.name.lower() in SKIPPED_DIRECTORIES else None
        elif not entry.is_file(follow_symlinks=False):
            reason = "special"
        if reason is not None:
            self._left_out[reason] += 1
        return reason is not None


def _checked_parts(path: str) -> tuple[str, ...]:
    """Return the parts of a relative path, refusing whatever could lead out of the root or into a skipped place."""
    if path.startswith(("/", "\\", "~")) or Path(path).is_absolute() or Path(path).drive:
        raise SourceRefused(f"{path!r} is not below the project; paths are relative to it, as list_files shows them")
    parts = tuple(part for part in path.replace(os.sep, "/").split("/") if part not in {"", "."})
    if ".." in parts:
        raise SourceRefused(f"{path!r} contains '..'; paths are relative to the project, as list_files shows them")
    for part in parts:
        if part.lower() in SKIPPED_DIRECTORIES:
            raise SourceRefused(f"{path!r} is in a version-control or cache directory, which is not part of a review")
    return parts


def _is_withheld(path: str) -> bool:
    name = path.rsplit("/", 1)[-1].lower()
    return any(fnmatch(name, pattern) for pattern in WITHHELD_NAMES)


def _lines(data: bytes) -> list[str]:
    """Return the lines of `data` as an editor numbers them; a final line end opens no further line."""
    text = data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n") if text else []


def _is_damaged(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _page(lines: list[str], first: int) -> list[str]:
    """Return numbered lines from `first` on, as many as a page holds and always at least one."""
    page: list[str] = []
    characters = 0
    for number, line in enumerate(lines[first - 1 : first - 1 + READ_PAGE_LINES], start=first):
        shown = f"{number}\t{_cut(line, LINE_CHARACTERS)}"
        characters += len(shown)
        if page and characters > READ_PAGE_CHARACTERS:
            break
        page.append(shown)
    return page


def _cut(line: str, limit: int) -> str:
    return line if len(line) <= limit else f"{line[:limit]} [cut: {len(line) - limit} more characters]"


def _joined(lines: list[str]) -> str:
    return "\n".join(line for line in lines if line)
