"""Nothing outside the root can be read, whatever the path, the tree, or another process does meanwhile."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache import ToolFailed
from agentcache.tools import FileTools

SECRET = "the outside secret"


@pytest.fixture
def outside(tmp_path):
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "file").write_text(SECRET, encoding="utf-8")
    return directory


@pytest.fixture
def root(tmp_path, outside):
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (root / "inner" / "file").write_text("inside", encoding="utf-8")
    (root / ".env").write_text("KEY=1", encoding="utf-8")
    (root / "link_to_file").symlink_to(outside / "file")
    (root / "link_to_directory").symlink_to(outside)
    (root / "link_inside").symlink_to("inner")
    (root / "chain").symlink_to("link_to_directory")
    return root


def refusal(root: Path, path: str) -> str:
    with pytest.raises(ToolFailed) as failed:
        FileTools(root).read_file(path)
    return str(failed.value)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc/passwd", "paths are relative"),
        ("~/secret", "paths are relative"),
        ("../outside/file", "contains '..'"),
        ("inner/../../outside/file", "contains '..'"),
        ("link_to_file", "symbolic link"),
        ("link_to_directory/file", "symbolic link"),
        ("link_inside/file", "symbolic link"),
        ("chain/file", "symbolic link"),
        ("inner", "is a directory"),
        ("", "is a directory"),
        ("inner/file/x", "as if that were a directory"),
        ("missing", "there is no such file"),
        (".env", "hidden files"),
        ("inner\0", "characters that no path"),
        ("inner/fi\nle", "characters that no path"),
        ("x" * 300, "longer than a path can be"),
    ],
)
def test_a_path_that_is_not_a_plain_file_below_the_root_is_refused_in_words(root, path, words):
    assert words in refusal(root, path)


@pytest.mark.parametrize("pattern", ["/etc/*", "../**", "link_to_directory/**", "chain/*", ".env", ".*"])
def test_a_pattern_leads_nowhere_else_either(root, pattern):
    tools = FileTools(root)
    for call in (lambda: tools.list_files(pattern), lambda: tools.search_files(SECRET, pattern)):
        try:
            assert call().splitlines()[0].count(": 0")
        except ToolFailed as error:
            assert "is refused" in str(error)  # noqa: PT017


def test_links_are_neither_listed_nor_searched(root):
    assert FileTools(root).list_files() == (
        "Files that match '**': 1.\ninner/file  (6 bytes)\nLeft out: 1 hidden, 4 symbolic links."
    )
    assert (
        FileTools(root).search_files("outside secret").startswith("Lines that contain 'outside secret': 0, in 1 files")
    )


def test_hidden_files_can_be_read_where_the_author_says_so(root):
    assert "KEY=1" in FileTools(root, hidden=True).read_file(".env")


def test_pipes_sockets_and_devices_are_not_waited_for(root, monkeypatch):
    os.mkfifo(root / "pipe")
    monkeypatch.chdir(root)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert "not a regular file" in refusal(root, "pipe")
        assert "not a regular file" in refusal(root, "socket")
        assert "2 special files" in FileTools(root).list_files()
    assert "not a regular file" in refusal(Path("/dev"), "zero")
    assert "not a regular file" in refusal(Path("/dev"), "null")


def test_a_file_that_never_ends_is_bounded(root):
    with open(root / "sparse", "wb") as file:
        file.truncate(10**12)
    assert "larger than 2000000 bytes" in refusal(root, "sparse")
    assert "Files not searched: 1" in FileTools(root).search_files("x", "sparse")


SPELLINGS = st.lists(st.sampled_from(["/", ".", "..", "inner", "file", "link_to_directory", "chain", "\\", "~"]))


@given(SPELLINGS.map("".join))
def test_no_spelling_of_a_path_leads_outside(tmp_path_factory, path):
    base = tmp_path_factory.getbasetemp() / "spellings"
    if not base.exists():
        (base / "root" / "inner").mkdir(parents=True)
        (base / "file").write_text(SECRET, encoding="utf-8")
        (base / "root" / "link_to_directory").symlink_to(base)
        (base / "root" / "chain").symlink_to("link_to_directory")
    try:
        shown = FileTools(base / "root", hidden=True).read_file(path)
    except ToolFailed:
        return
    assert SECRET not in shown


class Swapping:
    """Swaps a directory, or a file, for a link to the outside and back, as fast as it can, in a thread."""

    def __init__(self, inside: Path, target: Path) -> None:
        self._inside, self._aside = inside, inside.with_name("aside")
        self._link = inside.with_name("waiting_link")
        self._target = target
        self._done = threading.Event()
        self.swaps = 0
        self._thread = threading.Thread(target=self._swap)

    def _swap(self) -> None:
        while not self._done.is_set():
            self._link.symlink_to(self._target)
            self._inside.rename(self._aside)
            self._link.rename(self._inside)
            self._inside.unlink()
            self._aside.rename(self._inside)
            self.swaps += 1

    def __enter__(self) -> Swapping:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


@pytest.mark.parametrize("swapped", ["inner", "inner/file"])
def test_a_component_that_becomes_a_link_between_check_and_open_leaks_nothing(root, outside, swapped):
    tools = FileTools(root)
    answers: list[str] = []
    with Swapping(root / swapped, outside if swapped == "inner" else outside / "file") as swapping:
        while swapping.swaps < 500 or len(answers) < 1_500:
            for call in (
                lambda: tools.read_file("inner/file"),
                lambda: tools.search_files("e", "inner/**"),
                tools.list_files,
            ):
                try:
                    answers.append(call())
                except ToolFailed as error:
                    answers.append(f"refused: {error}")
    assert not [shown for shown in answers if SECRET in shown or "18 bytes" in shown]
    assert any("1\tinside" in shown for shown in answers)  # it was read when it was there
    assert any("link" in shown or "no such file" in shown for shown in answers if shown.startswith("refused"))


@pytest.mark.parametrize("becomes", ["link", "pipe", "directory"])
def test_a_file_that_changes_right_after_it_was_looked_at_leaks_nothing(root, outside, monkeypatch, becomes):
    looked_at = os.stat

    def look_then_swap(*args: Any, **kwargs: Any) -> os.stat_result:
        found = looked_at(*args, **kwargs)
        file = root / "inner" / "file"
        file.unlink()
        swap = {
            "link": lambda: file.symlink_to(outside / "file"),
            "pipe": lambda: os.mkfifo(file),
            "directory": file.mkdir,
        }
        swap[becomes]()
        return found

    tools = FileTools(root)
    monkeypatch.setattr("agentcache.tools.confined.os.stat", look_then_swap)
    with pytest.raises(ToolFailed, match={"link": "link", "pipe": "regular", "directory": "directory"}[becomes]):
        tools.read_file("inner/file")


def test_no_descriptor_stays_open(root):
    os.mkfifo(root / "pipe")
    before = len(os.listdir("/proc/self/fd"))
    tools = FileTools(root)
    for path in ("inner/file", "inner", "pipe", "missing", "link_to_file", "inner/file/x", "link_to_directory/file"):
        try:
            tools.read_file(path)
        except ToolFailed:
            continue
    tools.search_files("x")
    assert len(os.listdir("/proc/self/fd")) == before
