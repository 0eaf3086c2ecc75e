"""What a reviewer may see of a directory, and what it may not."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentcache import TargetError
from agents.review_tools import source_tools
from agents.source_tree import (
    LINE_CHARACTERS,
    LIST_PAGE_FILES,
    MAX_FILE_BYTES,
    READ_PAGE_LINES,
    SEARCH_MATCHES,
    SourceRefused,
    SourceTree,
)

NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    return project


def write(root: Path, path: str, content: str | bytes) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())


# Listing


def test_files_are_listed_by_path_with_their_sizes(root):
    write(root, "b.py", "x")
    write(root, "a/z.py", "")
    write(root, "a/b/c.py", "12345")
    assert SourceTree(root).list_files() == (
        "Files 1-3 of 3 under '.'.\na/b/c.py  (5 bytes)\na/z.py  (0 bytes)\nb.py  (1 bytes)"
    )


def test_a_listing_of_a_directory_holds_only_what_is_below_it(root):
    write(root, "src/a.py", "x")
    write(root, "src2/b.py", "x")
    assert "src/a.py" in SourceTree(root).list_files("src/")
    assert "src2/b.py" not in SourceTree(root).list_files("src/")


def test_an_empty_directory_lists_as_empty(root):
    assert SourceTree(root).list_files() == "No files under '.'; 0 in all."


def test_pages_of_a_listing_hold_every_file_once(root):
    names = [f"f{number:04}.py" for number in range(2 * LIST_PAGE_FILES + 7)]
    for name in names:
        write(root, name, "")
    tree = SourceTree(root)
    pages = [tree.list_files(offset=offset) for offset in (0, LIST_PAGE_FILES, 2 * LIST_PAGE_FILES)]
    listed = [line.split("  (")[0] for page in pages for line in page.splitlines()[1:]]
    assert listed == names
    assert f"Next page: offset={LIST_PAGE_FILES}." in pages[0]
    assert "Next page" not in pages[2]


def test_an_offset_behind_the_end_says_how_many_files_there_are(root):
    write(root, "a.py", "")
    assert SourceTree(root).list_files(offset=50) == "No files from offset 50; 1 in all."


def test_version_control_and_caches_are_left_out_and_counted(root):
    write(root, ".git/config", "token")
    write(root, "node_modules/x/index.js", "x")
    write(root, "a.py", "x")
    assert SourceTree(root).list_files().splitlines()[-1] == "Left out: 2 version-control or cache directories."


def test_binary_large_and_secret_files_are_listed_with_the_reason_why_they_cannot_be_read(root):
    write(root, "logo.png", b"\x89PNG\0\0")
    write(root, "dump.sql", b"x" * (MAX_FILE_BYTES + 1))
    write(root, ".env", "KEY=1")
    listing = SourceTree(root).list_files()
    assert "logo.png  (6 bytes, binary)" in listing
    assert f"dump.sql  ({MAX_FILE_BYTES + 1} bytes, large)" in listing
    assert ".env  (5 bytes, withheld)" in listing


def test_a_name_with_a_line_end_cannot_forge_a_line_of_the_listing(root):
    write(root, "a\nforged.py  (1 bytes)", "x")
    assert SourceTree(root).list_files() == (
        "No files under '.'; 0 in all.\nLeft out: 1 names with unprintable characters."
    )


def test_two_listings_of_the_same_directory_are_the_same_text(root):
    for name in ("ü.py", "Z.py", "a.py", "a/b.py", "a.b/c.py"):
        write(root, name, "x")
    assert SourceTree(root).list_files() == SourceTree(root).list_files()


# Reading


def test_lines_are_numbered_as_an_editor_numbers_them(root):
    write(root, "a.py", "one\r\ntwo\n\nfour\n")
    assert SourceTree(root).read_file("a.py") == "File 'a.py', lines 1-4 of 4.\n1\tone\n2\ttwo\n3\t\n4\tfour"


def test_pages_of_a_long_file_hold_every_line_once(root):
    write(root, "a.py", "".join(f"line {number}\n" for number in range(1, READ_PAGE_LINES + 11)))
    tree = SourceTree(root)
    first, second = tree.read_file("a.py"), tree.read_file("a.py", READ_PAGE_LINES + 1)
    assert f"Next page: start_line={READ_PAGE_LINES + 1}." in first.splitlines()[0]
    assert "Next page" not in second
    assert [line.split("\t")[0] for page in (first, second) for line in page.splitlines()[1:]] == [
        str(number) for number in range(1, READ_PAGE_LINES + 11)
    ]


def test_a_page_ends_early_when_its_lines_are_long(root):
    write(root, "a.py", ("y" * LINE_CHARACTERS + "\n") * 200)
    page = SourceTree(root).read_file("a.py")
    assert "Next page" in page
    assert len(page) < 31_000


def test_a_very_long_line_is_cut_and_says_so(root):
    write(root, "a.js", "y" * (LINE_CHARACTERS + 70))
    assert SourceTree(root).read_file("a.js").endswith("[cut: 70 more characters]")


def test_a_huge_file_is_refused_without_being_read_whole(root):
    with open(root / "huge.log", "wb") as stream:  # sparse: ten gigabytes that take no room
        stream.truncate(10 * 1024**3)
    with pytest.raises(SourceRefused, match="larger than"):
        SourceTree(root).read_file("huge.log")


def test_a_binary_file_is_refused(root):
    write(root, "a.bin", b"ELF\0\1")
    with pytest.raises(SourceRefused, match="binary"):
        SourceTree(root).read_file("a.bin")


def test_text_that_is_not_utf_8_is_shown_with_a_note(root):
    write(root, "latin.py", "s = 'caf\u00e9'\n".encode("latin-1"))
    page = SourceTree(root).read_file("latin.py")
    assert "Not valid UTF-8" in page.splitlines()[0]
    assert page.endswith("1\ts = 'caf\N{REPLACEMENT CHARACTER}'")


def test_an_empty_file_says_that_it_is_empty(root):
    write(root, "a.py", "")
    assert SourceTree(root).read_file("a.py") == "File 'a.py' is empty."


def test_a_start_behind_the_end_says_how_long_the_file_is(root):
    write(root, "a.py", "x\n")
    with pytest.raises(SourceRefused, match="has 1 lines"):
        SourceTree(root).read_file("a.py", 2)


def test_a_missing_file_says_what_to_do(root):
    with pytest.raises(SourceRefused, match=r"'nope\.py'.*list_files"):
        SourceTree(root).read_file("nope.py")


def test_a_directory_is_not_read_and_a_file_is_not_listed(root):
    write(root, "src/a.py", "x")
    with pytest.raises(SourceRefused, match="is a directory; call list_files"):
        SourceTree(root).read_file("src")
    with pytest.raises(SourceRefused, match="is a file; give a directory"):
        SourceTree(root).list_files("src/a.py")


# Confinement


@pytest.mark.parametrize(
    "path",
    [
        "../outside.txt",
        "src/../../outside.txt",
        "src/..",
        "/etc/passwd",
        "//etc/passwd",
        "~/secret",
        "\\\\host\\share",
        "a\0b",
        "x" * 5000,
        "",
        ".",
    ],
)
def test_nothing_outside_the_root_can_be_named(root, path):
    write(root, "src/a.py", "x")
    (root.parent / "outside.txt").write_text("outside")
    with pytest.raises(SourceRefused):
        SourceTree(root).read_file(path)


@pytest.mark.parametrize("path", ["..", "/", "src/../..", "~", "src/a.py/.."])
def test_nothing_outside_the_root_can_be_listed_or_searched(root, path):
    write(root, "src/a.py", "x")
    tree = SourceTree(root)
    with pytest.raises(SourceRefused):
        tree.list_files(path)
    with pytest.raises(SourceRefused):
        tree.search_text("x", path)


def test_links_are_neither_listed_nor_followed(root):
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("secret")
    (root / "file.py").symlink_to(outside / "secret.py")
    (root / "dir").symlink_to(outside)
    (root / "loop").symlink_to(root)
    tree = SourceTree(root)
    assert tree.list_files() == "No files under '.'; 0 in all.\nLeft out: 3 symbolic links."
    for path in ("file.py", "dir/secret.py", "loop/file.py"):
        with pytest.raises(SourceRefused, match="symbolic link"):
            tree.read_file(path)
    with pytest.raises(SourceRefused, match="symbolic link"):
        tree.list_files("dir")
    assert tree.search_text("secret").startswith("0 lines")


def test_a_file_that_becomes_a_link_after_the_listing_is_not_followed(root):
    write(root, "a.py", "harmless")
    (root.parent / "secret.py").write_text("secret")
    tree = SourceTree(root)
    tree.list_files()
    (root / "a.py").unlink()
    (root / "a.py").symlink_to(root.parent / "secret.py")
    assert tree.search_text("secret").startswith("0 lines")
    with pytest.raises(SourceRefused, match="symbolic link"):
        tree.read_file("a.py")


def test_a_pipe_is_neither_listed_nor_waited_for(root):
    os.mkfifo(root / "pipe")
    tree = SourceTree(root)
    assert "1 special files" in tree.list_files()
    with pytest.raises(SourceRefused, match="not a regular file"):
        tree.read_file("pipe")


@pytest.mark.parametrize("path", [".git/config", ".GIT/config", "a/node_modules/x.js"])
def test_what_is_left_out_cannot_be_read_by_name(root, path):
    write(root, path, "token")
    with pytest.raises(SourceRefused, match="not part of a review"):
        SourceTree(root).read_file(path)


@pytest.mark.parametrize("path", [".env", "deploy/id_rsa", "certs/server.PEM"])
def test_files_that_hold_live_secrets_are_neither_read_nor_searched(root, path):
    write(root, path, "hunter2")
    tree = SourceTree(root)
    with pytest.raises(SourceRefused, match="live secrets"):
        tree.read_file(path)
    assert tree.search_text("hunter2").startswith("0 lines")


@contextmanager
def without_privileges() -> Iterator[None]:
    """Act as an ordinary account for a moment: root may read everything, whatever the mode says."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_the_account_may_not_read_is_said_and_does_not_stop_the_rest():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        write(root, "open.py", "x")
        write(root, "closed.py", "x")
        write(root, "closed/a.py", "x")
        (root / "closed.py").chmod(0)
        (root / "closed").chmod(0)
        try:
            with without_privileges():
                tree = SourceTree(root)
                listing = tree.list_files()
                with pytest.raises(SourceRefused, match="Permission denied"):
                    tree.read_file("closed.py")
                with pytest.raises(SourceRefused, match="Permission denied"):
                    tree.read_file("closed/a.py")
        finally:
            (root / "closed").chmod(0o755)
    assert "open.py  (1 bytes)" in listing
    assert "closed.py  (1 bytes, unreadable)" in listing
    assert "Left out: 1 unreadable directories." in listing


# Searching


def test_a_search_is_literal_and_names_path_line_and_text(root):
    write(root, "a.py", "x\n  eval(code)\n")
    write(root, "b.py", "evaluate\n")
    assert SourceTree(root).search_text("eval(") == "1 lines under '.' contain 'eval('.\na.py:2: eval(code)"


def test_a_search_can_ignore_case(root):
    write(root, "a.py", "TODO\n")
    assert SourceTree(root).search_text("todo", ignore_case=True).endswith("a.py:1: TODO")
    assert SourceTree(root).search_text("todo").startswith("0 lines")


def test_a_search_with_many_matches_shows_the_first_and_counts_all(root):
    write(root, "a.py", "x\n" * (SEARCH_MATCHES + 5))
    found = SourceTree(root).search_text("x")
    assert found.startswith(f"{SEARCH_MATCHES + 5} lines under '.' contain 'x'. The first {SEARCH_MATCHES} are shown")
    assert len(found.splitlines()) == SEARCH_MATCHES + 1


@pytest.mark.parametrize("text", ["", "  ", "a\nb"])
def test_a_search_for_nothing_or_for_several_lines_is_refused(root, text):
    with pytest.raises(SourceRefused, match="within one line"):
        SourceTree(root).search_text(text)


# The root


def test_a_file_or_a_missing_path_is_no_project(root):
    write(root, "a.py", "x")
    with pytest.raises(TargetError, match="is a file; give the directory"):
        SourceTree(root / "a.py")
    with pytest.raises(TargetError, match="cannot read the directory"):
        SourceTree(root / "missing")


def test_the_project_may_be_named_by_a_link(root):
    write(root, "a.py", "x")
    link = root.parent / "link"
    link.symlink_to(root)
    assert SourceTree(link).name == "project"
    assert "a.py" in SourceTree(link).list_files()


# The tools


def test_tool_definitions_are_the_same_for_every_directory(root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    ours = [item.definition() for item in source_tools(SourceTree(root))]
    assert ours == [item.definition() for item in source_tools(SourceTree(other))]
    assert [item["name"] for item in ours] == ["list_files", "read_file", "search_text"]
    assert str(root) not in str(ours)


async def test_a_refusal_reaches_the_model_as_an_error_that_says_what_to_do(root):
    tools = {item.name: item for item in source_tools(SourceTree(root))}
    answer = await tools["read_file"].call({"path": "../x"})
    assert answer.is_error
    assert "paths are relative to the project" in str(answer.content)


async def test_the_tools_answer_from_the_directory_they_were_made_for(root):
    write(root, "a.py", "x = 1\n")
    tools = {item.name: item for item in source_tools(SourceTree(root))}
    assert "a.py  (6 bytes)" in str((await tools["list_files"].call({})).content)
    assert "1\tx = 1" in str((await tools["read_file"].call({"path": "a.py"})).content)
    assert "a.py:1: x = 1" in str((await tools["search_text"].call({"text": "x ="})).content)
