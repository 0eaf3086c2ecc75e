"""The file tools: what they answer, the same for equal trees, in pages that say where they go on."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache import SettingsError
from agentcache.runtime.memo_dependencies import dependencies_of
from agentcache.runtime.memo_keys import bound
from agentcache.runtime.tools import Tool
from agentcache.tools import FileTools
from agentcache.tools.path_patterns import PathPattern


@pytest.fixture
def root(tmp_path):
    for path, text in {
        "README.md": "# Boats\nHeron and Tern.\n",
        "docs/rules.md": "No dogs.\nNo DOGS below deck.\n",
        "docs/deep/log.txt": "the dog stayed ashore\n",
        "docs-old/rules.md": "Dogs welcome.\n",
        ".env": "KEY=secret\n",
        ".git/config": "token = secret\n",
    }.items():
        file = tmp_path / "root" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path / "root"


async def answer(tools: FileTools, name: str, **arguments) -> str:
    """Call a tool as the model does; a refusal comes back as `refused: ...`."""
    [tool] = [tool for tool in tools.tools if tool.name == name]
    result = await tool.call(arguments)
    assert isinstance(result.content, str)
    return f"refused: {result.content}" if result.is_error else result.content


async def test_files_are_listed_by_the_bytes_of_their_paths(root):
    assert await answer(FileTools(root), "list_files") == (
        "Files that match '**': 4.\n"
        "README.md  (24 bytes)\n"
        "docs-old/rules.md  (14 bytes)\n"
        "docs/deep/log.txt  (22 bytes)\n"
        "docs/rules.md  (29 bytes)\n"
        "Left out: 2 hidden."
    )


@given(st.lists(st.text(alphabet="a-./z", min_size=1, max_size=6), max_size=12))
def test_a_walk_is_in_byte_order_whatever_the_names(tmp_path_factory, paths):
    root = tmp_path_factory.mktemp("tree")
    for path in paths:
        file = root / path.strip("/").replace("..", ".") / "file"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    listed = re.findall(r"^(.*)  \(0 bytes\)$", FileTools(root, hidden=True).list_files(), re.MULTILINE)
    assert listed == sorted(listed, key=str.encode)
    assert set(listed) == {file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.md", ["README.md", "docs-old/rules.md", "docs/rules.md"]),
        ("docs/*.md", ["docs/rules.md"]),
        ("docs/**", ["docs/deep/log.txt", "docs/rules.md"]),
        ("docs/", ["docs/deep/log.txt", "docs/rules.md"]),
        ("**/deep/*", ["docs/deep/log.txt"]),
        ("docs*/rules.m[cd]", ["docs-old/rules.md", "docs/rules.md"]),
        ("./README.md", ["README.md"]),
        ("nowhere/**", []),
    ],
)
async def test_a_pattern_means_files(root, pattern, found):
    listing = await answer(FileTools(root), "list_files", pattern=pattern)
    assert re.findall(r"^(.*)  \(\d+ bytes\)$", listing, re.MULTILINE) == found


def test_no_pattern_takes_long():
    assert not PathPattern("*a" * 90 + "b").matches("a" * 250)
    assert not PathPattern("**/a/" * 39 + "b").matches("a/" * 500 + "c")


async def test_a_file_is_read_with_the_numbers_of_its_lines(root):
    tools = FileTools(root)
    assert await answer(tools, "read_file", path="docs/rules.md") == (
        "File 'docs/rules.md', lines 1-2 of 2.\n1\tNo dogs.\n2\tNo DOGS below deck."
    )
    assert await answer(tools, "read_file", path="docs/rules.md", start_line=2, end_line=9) == (
        "File 'docs/rules.md', lines 2-2 of 2.\n2\tNo DOGS below deck."
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"start_line": 3}, "has 2 lines; start_line=3 is behind its end"),
        ({"start_line": 2, "end_line": 1}, "end_line=1 is before start_line=2"),
        ({"start_line": 0}, "do not fit"),
    ],
)
async def test_lines_that_are_not_there_are_refused_in_words(root, arguments, words):
    refused = await answer(FileTools(root), "read_file", path="docs/rules.md", **arguments)
    assert refused.startswith("refused: ")
    assert words in refused


async def test_what_is_no_plain_text_is_told_in_words(root):
    (root / "logo.png").write_bytes(b"\x89PNG\0\0")
    (root / "empty.txt").touch()
    (root / "latin.txt").write_bytes(b"\xef\xbb\xbfcaf\xe9\r\nbar\rbaz")
    (root / "large.txt").write_bytes(b"x" * 101)
    tools = FileTools(root, max_file_bytes=100)
    assert await answer(tools, "read_file", path="logo.png") == (
        "refused: 'logo.png' is a binary file of 6 bytes and is not shown"
    )
    assert await answer(tools, "read_file", path="empty.txt") == "File 'empty.txt' is empty."
    assert await answer(tools, "read_file", path="latin.txt") == (
        "File 'latin.txt', lines 1-3 of 3. Not valid UTF-8: unreadable bytes are shown as \ufffd."
        "\n1\tcaf\ufffd\n2\tbar\n3\tbaz"
    )
    assert await answer(tools, "read_file", path="large.txt") == (
        "refused: 'large.txt' is larger than 100 bytes and is not shown"
    )


@given(
    st.lists(st.text(alphabet="ab \u00e9", max_size=30).map(lambda text: text * 200), min_size=1, max_size=60),
)
def test_the_pages_of_a_file_are_the_whole_file(tmp_path_factory, lines):
    root = tmp_path_factory.mktemp("pages")
    (root / "f").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    tools = FileTools(root)
    shown, start = [], 1
    while start:
        page = tools.read_file("f", start_line=start)
        assert page == tools.read_file("f", start_line=start)
        header, *numbered = page.split("\n")
        shown += numbered
        more = re.search(r"start_line=(\d+)\.", header)
        start = int(more.group(1)) if more else 0
    cut = [re.fullmatch(r"(\d+)\t(.*?)(?: \[cut: (\d+) more characters in this line\])?", line) for line in shown]
    assert [int(found.group(1)) for found in cut] == list(range(1, len(lines) + 1))
    for found, line in zip(cut, lines, strict=True):
        assert line.startswith(found.group(2))
        assert len(found.group(2)) + int(found.group(3) or 0) == len(line)


async def test_lines_that_contain_a_text_are_found(root):
    tools = FileTools(root)
    assert await answer(tools, "search_files", text="dogs") == (
        "Lines that contain 'dogs': 1, in 4 files that match '**'.\ndocs/rules.md:1: No dogs.\nLeft out: 2 hidden."
    )
    assert await answer(tools, "search_files", text="dogs", pattern="*.md", ignore_case=True) == (
        "Lines that contain 'dogs': 3, in 3 files that match '*.md'.\n"
        "docs-old/rules.md:1: Dogs welcome.\n"
        "docs/rules.md:1: No dogs.\n"
        "docs/rules.md:2: No DOGS below deck.\n"
        "Left out: 2 hidden."
    )
    assert "refused: search for a piece of text" in await answer(tools, "search_files", text="a\nb")


async def test_a_search_takes_text_as_it_is_written(root):
    (root / "evil.txt").write_text("(a+)+$ " + "a" * 5_000 + "\n", encoding="utf-8")
    found = await answer(FileTools(root), "search_files", text="(a+)+$", pattern="evil.txt")
    assert found.startswith("Lines that contain '(a+)+$': 1, in 1 files")


async def test_a_search_says_what_it_did_not_look_into(root):
    (root / "big.md").write_text("dogs\n" * 50, encoding="utf-8")
    (root / "pic.md").write_bytes(b"dogs\0")
    found = await answer(FileTools(root, max_file_bytes=100), "search_files", text="dogs", pattern="*.md")
    assert found.startswith(
        "Lines that contain 'dogs': 1, in 5 files that match '*.md'. Files not searched: 1 (too large"
    )


async def test_long_answers_come_in_pages_that_name_the_next(root):
    for number in range(1_200):
        (root / f"n{number:04}").write_text("needle\n", encoding="utf-8")
    tools = FileTools(root)
    first = await answer(tools, "list_files", pattern="n*")
    assert first.startswith("Files that match 'n*': 1200. Shown: 1-500. Left: 700; next page: offset=500.\nn0000")
    last = await answer(tools, "list_files", pattern="n*", offset=1_000)
    assert last.startswith("Files that match 'n*': 1200. Shown: 1001-1200.\nn1000")
    assert "Shown: none" in await answer(tools, "list_files", pattern="n*", offset=5_000)
    found = await answer(tools, "search_files", text="needle", offset=1_100)
    assert "match '**'. Shown: 1101-1200.\nn1100:1: needle\n" in found


async def test_equal_trees_give_equal_bytes_and_definitions_name_no_path(root, tmp_path):
    copy = tmp_path / "elsewhere"
    for path in sorted((path for path in root.rglob("*") if path.is_file()), reverse=True):
        (copy / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
        (copy / path.relative_to(root)).write_bytes(path.read_bytes())
    one, other = FileTools(root), FileTools(copy)
    assert [tool.definition() for tool in one.tools] == [tool.definition() for tool in other.tools]
    assert str(tmp_path) not in str([tool.definition() for tool in one.tools])
    for name, arguments in (("list_files", {}), ("search_files", {"text": "o"}), ("read_file", {"path": "README.md"})):
        assert await answer(one, name, **arguments) == await answer(other, name, **arguments)
    assert one.digest() == other.digest()


def test_the_digest_changes_with_a_name_or_a_content_and_with_nothing_else(root):
    tools = FileTools(root)
    before, docs, rules = tools.digest(), tools.digest("docs/**"), tools.file_digest("docs/rules.md")
    (root / "README.md").touch()
    assert tools.digest() == before
    (root / "README.md").write_text("# Boats\nHeron and Gull.\n", encoding="utf-8")
    assert tools.digest() != before
    assert tools.digest("docs/**") == docs
    assert tools.file_digest("docs/rules.md") == rules != tools.file_digest("README.md")
    (root / "docs/rules.md").rename(root / "docs/rule.md")
    assert tools.digest("docs/**") != docs
    assert tools.file_digest("docs/rules.md") is None


def test_results_may_be_kept_where_the_files_are_frozen_under_a_version_of_their_contents(root):
    def versions(**options):
        return {tool.version for tool in FileTools(root, **options).tools}

    assert versions() == {None}
    assert all(tool.memo_rules is None for tool in FileTools(root).tools)
    before = versions(frozen=True)
    assert None not in before
    assert versions(frozen=True) == before
    (root / "README.md").write_text("changed\n", encoding="utf-8")
    assert not versions(frozen=True) & before


async def test_a_memo_of_files_that_change_depends_on_what_each_call_shows(root):
    list_files, read_file, search_files = FileTools(root, memo=True).tools

    async def key(tool: Tool, **arguments: str) -> str:
        call = bound(tool, dict(arguments))
        assert call is not None
        return call.key(dependencies=await dependencies_of(call, {}))

    async def keys() -> list[str]:
        return [
            await key(read_file, path="docs/rules.md"),
            await key(list_files, pattern="docs/**"),
            await key(search_files, text="x"),
        ]

    before = await keys()
    assert await keys() == before
    (root / "README.md").write_text("changed\n", encoding="utf-8")
    other_file_changed = await keys()
    assert [old == new for old, new in zip(before, other_file_changed, strict=True)] == [True, True, False]
    (root / "docs/rules.md").write_text("changed\n", encoding="utf-8")
    assert not set(await keys()) & set(other_file_changed)


@pytest.mark.parametrize("options", [{"max_file_bytes": 0}, {"root": "missing"}, {"root": "root/README.md"}])
def test_a_declaration_that_cannot_work_is_refused(root, options):
    with pytest.raises(SettingsError):
        FileTools(**{"root": root, **{k: root.parent / v if k == "root" else v for k, v in options.items()}})


async def test_a_walk_that_is_too_long_stops_at_the_same_place_and_says_so(root, monkeypatch):
    monkeypatch.setattr("agentcache.tools.confined.MAX_ENTRIES", 3)
    assert await answer(FileTools(root), "list_files") == (
        "Files that match '**': 2.\n"
        "README.md  (24 bytes)\n"
        "docs-old/rules.md  (14 bytes)\n"
        "Left out: 2 hidden, all behind the first 3 entries (begin the pattern with a directory)."
    )
    below = await answer(FileTools(root), "list_files", pattern="docs/deep/**")
    assert below == "Files that match 'docs/deep/**': 1.\ndocs/deep/log.txt  (22 bytes)"


async def test_a_tree_that_is_too_deep_is_cut_and_says_so(root):
    (root / "/".join(["d"] * 70)).mkdir(parents=True)
    (root / "/".join(["d"] * 70) / "file").touch()
    assert "Left out: 2 hidden, 1 directories more than 60 deep." in await answer(FileTools(root), "list_files")
    assert "d/file  (0 bytes)" in await answer(FileTools(root), "list_files", pattern="d/" * 20 + "**")


async def test_a_search_reads_no_more_than_its_bound(root, monkeypatch):
    monkeypatch.setattr("agentcache.tools.files.MAX_SEARCH_BYTES", 30)
    found = await answer(FileTools(root), "search_files", text="n", pattern="*.md")
    assert found == (
        "Lines that contain 'n': 1, in 3 files that match '*.md'. Files not searched: 2 "
        "(too large, unreadable, or beyond what one search reads: give a narrower pattern).\n"
        "README.md:2: Heron and Tern.\nLeft out: 2 hidden."
    )
