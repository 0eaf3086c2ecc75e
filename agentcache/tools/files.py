"""Three read-only tools over the files below one directory: list them, read one, search in them.

What may be seen is decided in `confined.py`, which paths a pattern means in `path_patterns.py`, how long text is shown
in `text_pages.py`. Here is what the model is told, and how an answer reads.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from agentcache.errors import SettingsError, ToolFailed
from agentcache.prompt.canonical import canonical_json, digest
from agentcache.runtime.memo_declaration import Memo
from agentcache.runtime.tools import Tool, tool
from agentcache.tools.confined import ConfinedDirectory, FoundFile, LeftOut
from agentcache.tools.path_patterns import PathPattern
from agentcache.tools.text_pages import cut, damage_in, fitting, is_binary, lines_of, numbered_page

MAX_FILE_BYTES = 2_000_000
"""Files larger than this are neither read nor searched, unless the author says otherwise."""
MAX_SEARCH_BYTES = 100_000_000
"""How much one search reads."""
LIST_FILES = 500
SEARCH_MATCHES = 200
MATCH_CHARS = 300
MAX_TEXT_CHARS = 500
_VERSION = "1"
"""Changed with the wording of answers, so that a kept answer of the old wording is not given out."""

_Pattern = Annotated[
    str,
    Field(
        description='Which files: "*.md" by name in every directory, "src/**" all below a directory, '
        '"docs/*.md" in one directory; "**" is all.'
    ),
]
_Offset = Annotated[int, Field(ge=0, description="How many to skip; a page says where the next one begins.")]


class FileTools:
    """`list_files`, `read_file` and `search_files` for one directory: `Agent(tools=FileTools("handbook").tools)`.

    root: the directory; everything is named relative to it, and neither definitions nor answers mention it.
    hidden: whether names that begin with a dot can be seen; they often hold credentials. Default: not.
    max_file_bytes: larger files are neither read nor searched. Default: 2,000,000.
    frozen: the author's promise that the files stay as they are while this object is in use (a checked-out revision,
    files shipped with a program). The tools are then deterministic, so that their results may be kept, under a version
    made from the names and contents of all files when this object is made. Default: not; every call reads anew.
    memo: keep results of files that may change too: what a call shows is looked at before each, and a kept result is
    given out while the contents are the same. Spares the searching and the pages, not the reading. Default: not.

    Raises `SettingsError` for a root that is no directory, and where the system cannot open relative to one (Windows).
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        hidden: bool = False,
        max_file_bytes: int = MAX_FILE_BYTES,
        frozen: bool = False,
        memo: bool = False,
    ) -> None:
        if max_file_bytes < 1:
            raise SettingsError(f"max_file_bytes is {max_file_bytes}; a file that can be read has at least 1")
        self._directory = ConfinedDirectory(root, hidden=hidden)
        self._max_file_bytes = max_file_bytes
        if frozen and memo:
            raise SettingsError("FileTools: frozen files do not change, so memo adds nothing; leave one of the two out")
        self.tools: tuple[Tool, ...] = tuple(self._declared(frozen=frozen, memo=memo))

    def _declared(self, *, frozen: bool, memo: bool) -> Iterator[Tool]:
        options = [_VERSION, self._directory.hidden, self._max_file_bytes, self.digest() if frozen else None]
        version = digest(canonical_json(options)) if frozen or memo else None
        for function, shown in (
            (self.list_files, self.digest),
            (self.read_file, self.file_digest),
            (self.search_files, self.digest),
        ):
            kept = Memo(depends=[shown]) if memo else None
            yield tool(function, deterministic=frozen, version=version, memo=kept)

    def digest(self, pattern: str = "**") -> str:
        """Return a digest of the names and contents of the files that `pattern` means.

        It is what the results of `list_files` and `search_files` depend on, beside their arguments.

        A file that cannot be read or is larger than `max_file_bytes` counts by its name and size.
        """
        files, left_out = self._found(pattern)
        contents = [[file.path, file.size_bytes, self.file_digest(file.path)] for file in files]
        return digest(canonical_json([contents, left_out.sentence()]))

    def file_digest(self, path: str) -> str | None:
        """Return a digest of the content of the file at `path`, `None` where it cannot be read.

        It is what the results of `read_file` depend on.
        """
        try:
            return hashlib.sha256(self._directory.read(path, max_bytes=self._max_file_bytes)).hexdigest()
        except ToolFailed:
            return None

    def list_files(self, pattern: _Pattern = "**", offset: _Offset = 0) -> str:
        """List files, sorted by path, with their sizes in bytes, 500 to a page. Symbolic links are left out."""
        files, left_out = self._found(pattern)
        total = f"Files that match {pattern!r}: {len(files)}."
        lines = [f"{file.path}  ({file.size_bytes} bytes)" for file in files[offset:]]
        return _paged(total, lines, offset, len(files), LIST_FILES, left_out)

    def read_file(
        self,
        path: Annotated[str, Field(description="The file's path exactly as list_files shows it.")],
        start_line: Annotated[int, Field(ge=1, description="First line to show, from 1.")] = 1,
        end_line: Annotated[int | None, Field(ge=1, description="Last line to show; null is the file's last.")] = None,
    ) -> str:
        """Read a text file, each line behind its number and a tab. Long files come in pages; a page names the next."""
        data = self._directory.read(path, max_bytes=self._max_file_bytes)
        if is_binary(data):
            raise ToolFailed(f"{path!r} is a binary file of {len(data)} bytes and is not shown")
        lines = lines_of(data)
        if not lines:
            return f"File {path!r} is empty."
        last = len(lines) if end_line is None else min(end_line, len(lines))
        if start_line > len(lines):
            raise ToolFailed(f"{path!r} has {len(lines)} lines; start_line={start_line} is behind its end")
        if last < start_line:
            raise ToolFailed(f"end_line={end_line} is before start_line={start_line}; leave end_line out or correct it")
        page = numbered_page(lines, start_line, last)
        shown = start_line + len(page) - 1
        more = f" Lines left: {last - shown}; next page: start_line={shown + 1}." if shown < last else ""
        return "\n".join([f"File {path!r}, lines {start_line}-{shown} of {len(lines)}.{more}{damage_in(data)}", *page])

    def search_files(
        self,
        text: Annotated[str, Field(description="Text within one line, taken literally: no wildcards, no patterns.")],
        pattern: _Pattern = "**",
        ignore_case: Annotated[bool, Field(description="Whether upper and lower case are the same.")] = False,
        offset: _Offset = 0,
    ) -> str:
        """Find the lines that contain a text, as path, line number and line, sorted by path, 200 to a page.

        Binary files are not searched.
        """
        if not text.strip() or len(text) > MAX_TEXT_CHARS or "\n" in text or "\r" in text:
            raise ToolFailed(f"search for a piece of text within one line, of at most {MAX_TEXT_CHARS} characters")
        files, left_out = self._found(pattern)
        search = _Search(text, ignore_case=ignore_case, offset=offset)
        for file in files:
            if not search.has_room_for(file, self._max_file_bytes):
                continue
            try:
                search.look_into(file, self._directory.read(file.path, max_bytes=self._max_file_bytes))
            except ToolFailed:  # not ours to read, or no longer what it was when it was found
                search.not_searched += 1
        where = f"{len(files)} files that match {pattern!r}"
        total = f"Lines that contain {text!r}: {search.count}, in {where}.{search.sentence()}"
        return _paged(total, search.page, offset, search.count, SEARCH_MATCHES, left_out)

    def _found(self, pattern: str) -> tuple[list[FoundFile], LeftOut]:
        self._directory.parts(pattern)  # refuses what leads out of the root, in words
        wanted, left_out = PathPattern(pattern), LeftOut()
        files = self._directory.walk(wanted.directory, left_out)
        return [file for file in files if wanted.matches(file.path)], left_out


class _Search:
    """How many lines match so far, those of them that are on the page asked for, and how much has been read."""

    def __init__(self, text: str, *, ignore_case: bool, offset: int) -> None:
        self.count = 0
        self.page: list[str] = []
        self.not_searched = 0
        self._wanted, self._ignore_case = text.casefold() if ignore_case else text, ignore_case
        self._shown = range(offset, offset + SEARCH_MATCHES)
        self._room = MAX_SEARCH_BYTES

    def has_room_for(self, file: FoundFile, max_file_bytes: int) -> bool:
        """Tell whether to search a file, and count it when not; its size decides, so that this is repeatable."""
        if file.size_bytes > max_file_bytes or file.size_bytes > self._room:
            self.not_searched += 1
            return False
        self._room -= file.size_bytes
        return True

    def look_into(self, file: FoundFile, data: bytes) -> None:
        """Count the lines of a file that match."""
        if is_binary(data):
            return
        for number, line in enumerate(lines_of(data), start=1):
            if self._wanted in (line.casefold() if self._ignore_case else line):
                if self.count in self._shown:
                    self.page.append(f"{file.path}:{number}: {cut(line.strip(), MATCH_CHARS)}")
                self.count += 1

    def sentence(self) -> str:
        """Say what was not searched."""
        why = "too large, unreadable, or beyond what one search reads: give a narrower pattern"
        return f" Files not searched: {self.not_searched} ({why})." if self.not_searched else ""


def _paged(total: str, lines: list[str], offset: int, count: int, per_page: int, left_out: LeftOut) -> str:
    """Return a header, as many lines as a page holds, and what was left out."""
    page = fitting(lines, max_lines=per_page)
    shown = offset + len(page)
    if not page and count:
        total = f"{total} Shown: none, offset={offset} is behind the last."
    elif len(page) < count:
        rest = f" Left: {count - shown}; next page: offset={shown}." if shown < count else ""
        total = f"{total} Shown: {offset + 1}-{shown}.{rest}"
    return "\n".join(line for line in (total, *page, left_out.sentence()) if line)
