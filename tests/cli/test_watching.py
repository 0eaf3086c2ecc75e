from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentcache.cli.watching import changes, look


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    (tmp_path / "watched").mkdir()
    return tmp_path / "watched"


def test_only_files_that_a_lint_run_reads_are_looked_at(folder: Path) -> None:
    for name in ("a/static.j2", "a/tools.json", "a/agent.toml", "pyproject.toml", "team.py", "notes.md", "data.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    for hidden in (".git/static.j2", "node_modules/static.j2"):
        (folder / hidden).parent.mkdir()
        (folder / hidden).touch()

    names = {Path(name).relative_to(folder).as_posix() for name in look([folder])}
    assert names == {"a/static.j2", "a/tools.json", "a/agent.toml", "pyproject.toml", "team.py"}


def test_a_single_file_and_one_that_is_not_there(folder: Path) -> None:
    (folder / "static.j2").touch()
    assert list(look([folder / "static.j2", folder / "absent"])) == [str(folder / "static.j2")]


def test_a_link_around_in_a_circle_ends(folder: Path) -> None:
    (folder / "static.j2").touch()
    (folder / "again").symlink_to(folder)
    assert len(look([folder])) == 1


@pytest.mark.parametrize("change", ["write", "remove", "add", "replace"])
def test_each_kind_of_change_is_told(folder: Path, change: str) -> None:
    path = folder / "static.j2"
    path.write_text("a")
    told = changes([folder], interval_s=0)
    os.utime(path, ns=(1, 1))
    assert next(told) == (str(path),)

    if change == "write":
        path.write_text("ab")
    elif change == "remove":
        path.unlink()
    elif change == "add":
        path = folder / "turn.j2"
        path.touch()
    else:  # as editors save: another file in its place, of the same size and time
        (folder / "new").write_text("b")
        os.utime(folder / "new", ns=(1, 1))
        (folder / "new").replace(path)
    assert next(told) == (str(path),)
