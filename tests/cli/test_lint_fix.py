"""`agentcache lint --fix` and `--diff`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Shell = Callable[..., subprocess.CompletedProcess[str]]

FILES = {
    "agent.toml": b"""model = "claude-opus-5"

[variables.static]
tags = ["b", "a"]

[variables.session]
user_name = "Ana"

[types]
tags = "set"
""",
    "static.j2": b"""Be kind.

Help {{ user_name }} with {{ company }}.

Tags: {{ tags|join(', ') }}.

It is {{ now() }}.
""",
    "session.j2": b"\xef\xbb\xbfNow.\r\nFor {{ user_name }}.\r\n",
}
FIXED = {
    **FILES,
    "static.j2": b"Be kind.\n\nHelp {{ user_name }} with {{ company }}.\n\nTags: {{ tags|sort|join(', ') }}.\n",
    "turn.j2": b"It is {{ now() }}.\n",
}


@pytest.fixture
def prompt(tmp_path: Path) -> Path:
    folder = tmp_path / "prompts" / "desk"
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    (folder / "static.j2").chmod(0o600)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_safe_fixes_are_written_and_what_is_left_is_told(shell: Shell, prompt: Path) -> None:
    told = shell("lint", "prompts", "--fix", "--ignore", "PC048")

    assert contents(prompt) == FIXED
    assert (prompt / "static.j2").stat().st_mode & 0o777 == 0o600
    assert told.returncode == 1
    assert "PC058" in told.stdout
    assert "PC012" not in told.stdout


def test_a_difference_is_exactly_what_would_be_written_and_nothing_is(
    shell: Shell, prompt: Path, tmp_path: Path
) -> None:
    told = shell("lint", "prompts", "--diff", "--ignore", "PC048")
    assert contents(prompt) == FILES

    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=told.stdout, text=True, check=True)

    assert contents(prompt) == FIXED


def test_fixing_again_changes_nothing(shell: Shell, prompt: Path) -> None:
    shell("lint", "prompts", "--fix")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in prompt.iterdir()}

    shell("lint", "prompts", "--fix")

    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in prompt.iterdir()} == before


def test_a_finding_that_an_author_ignores_is_not_fixed(shell: Shell, prompt: Path) -> None:
    ignored = b"{# agentcache: ignore PC012 the set is frozen at build time #}Tags: {{ tags|join(', ') }}.\n"
    (prompt / "static.j2").write_bytes(ignored)

    shell("lint", "prompts", "--fix")

    assert (prompt / "static.j2").read_bytes() == ignored
