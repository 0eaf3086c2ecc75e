from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentcache.cli.watching import changes, look


def test_only_files_that_a_lint_run_reads_are_looked_at(tmp_path: Path) -> None:
    for name in ("a/static.j2", "a/tools.json", "a/agent.toml", "pyproject.toml", "team.py", "notes.md", "data.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for hidden in (".git/static.j2", "node_modules/static.j2"):
        (tmp_path / hidden).parent.mkdir()
        (tmp_path / hidden).touch()

    names = {Path(name).relative_to(tmp_path).as_posix() for name in look([tmp_path])}
    assert names == {"a/static.j2", "a/tools.json", "a/agent.toml", "pyproject.toml", "team.py"}


def test_a_single_file_and_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "static.j2").touch()
    assert list(look([tmp_path / "static.j2", tmp_path / "absent"])) == [str(tmp_path / "static.j2")]


def test_a_link_around_in_a_circle_ends(tmp_path: Path) -> None:
    (tmp_path / "static.j2").touch()
    (tmp_path / "again").symlink_to(tmp_path)
    assert len(look([tmp_path])) == 1


@pytest.mark.parametrize("change", ["write", "remove", "add", "replace"])
def test_each_kind_of_change_is_told(tmp_path: Path, change: str) -> None:
    path = tmp_path / "static.j2"
    path.write_text("a")
    told = changes([tmp_path], interval_s=0)
    os.utime(path, ns=(1, 1))
    assert next(told) == (str(path),)

    if change == "write":
        path.write_text("ab")
    elif change == "remove":
        path.unlink()
    elif change == "add":
        path = tmp_path / "turn.j2"
        path.touch()
    else:  # as editors save: another file in its place, of the same size and time
        (tmp_path / "new").write_text("b")
        os.utime(tmp_path / "new", ns=(1, 1))
        (tmp_path / "new").replace(path)
    assert next(told) == (str(path),)
