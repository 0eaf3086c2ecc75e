"""Files that fixes are written to."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from agentcache.cli.lint_writing import write_texts
from agentcache.errors import TargetError


def test_line_ends_and_permission_bits_stay(tmp_path: Path) -> None:
    file = tmp_path / "static.j2"
    file.write_bytes(b"one\r\ntwo\n")
    file.chmod(0o640)

    write_texts({str(file): "one\r\ntwo\n"}, {str(file): "one\r\n"})

    assert file.read_bytes() == b"one\r\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_byte_order_mark_stays(tmp_path: Path) -> None:
    file = tmp_path / "static.j2"
    file.write_bytes(b"\xef\xbb\xbfone")

    write_texts({str(file): "one"}, {str(file): "two"})

    assert file.read_bytes() == b"\xef\xbb\xbftwo"


def test_a_new_file_gets_the_bits_that_new_files_get(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_texts({}, {str(tmp_path / "turn.j2"): "new\n"})
    finally:
        os.umask(before)

    assert (tmp_path / "turn.j2").read_bytes() == b"new\n"
    assert stat.S_IMODE((tmp_path / "turn.j2").stat().st_mode) == 0o640


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "real.j2").write_bytes(b"one")
    (tmp_path / "static.j2").symlink_to("real.j2")

    write_texts({str(tmp_path / "static.j2"): "one"}, {str(tmp_path / "static.j2"): "two"})

    assert (tmp_path / "static.j2").is_symlink()
    assert (tmp_path / "real.j2").read_bytes() == b"two"


def test_a_file_that_changed_meanwhile_is_left_alone_and_so_are_all_others(tmp_path: Path) -> None:
    paths = [tmp_path / "a.j2", tmp_path / "b.j2"]
    for path in paths:
        path.write_bytes(b"now")
    before = {str(paths[0]): "now", str(paths[1]): "then"}

    with pytest.raises(TargetError, match=r"b\.j2 was changed while it was linted"):
        write_texts(before, dict.fromkeys(before, "fixed"))

    assert [path.read_bytes() for path in paths] == [b"now", b"now"]


def test_a_new_file_never_takes_the_place_of_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "turn.j2").write_bytes(b"mine")

    with pytest.raises(TargetError, match="was changed"):
        write_texts({}, {str(tmp_path / "turn.j2"): "new"})

    assert (tmp_path / "turn.j2").read_bytes() == b"mine"


def test_a_file_that_cannot_be_written_is_named_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    (folder / "static.j2").mkdir(parents=True)
    path = str(folder / "static.j2")

    with pytest.raises(TargetError, match=r"cannot read .*static\.j2"):
        write_texts({path: "one"}, {path: "two"})

    assert [entry.name for entry in folder.iterdir()] == ["static.j2"]
