"""The README is true: its commands run and print what stands there.

`UPDATE_README=1 python -m pytest tests/test_readme.py` writes the present output into it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"```(console|python)\n(.*?)```", re.DOTALL)
PROMPT = "$ "


def printed(command: str, folder: Path) -> str:
    """Run one README command and return what a reader of a terminal takes away: the result, or the error."""
    if not command.startswith("agentcache"):
        done = subprocess.run(["/bin/sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout
    arguments = [sys.executable, "-m", "agentcache", *shlex.split(command)[1:]]
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    text = done.stdout if done.returncode == 0 else done.stderr
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def session(block: str) -> list[tuple[str, str]]:
    """Split a console block into commands and what stands below each."""
    steps: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith(PROMPT):
            steps.append((line.removeprefix(PROMPT), []))
        else:
            steps[-1][1].append(line)
    return [(command, "\n".join(lines).strip()) for command, lines in steps]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_every_command_prints_what_the_readme_shows(folder: Path) -> None:
    text = README.read_text(encoding="utf-8")
    wrong = []
    for language, block in BLOCK.findall(text):
        if language == "python":
            if "from desk import" not in block:
                (folder / "desk.py").write_text(block, encoding="utf-8")
            continue
        for command, shown in session(block):
            if command.startswith("make"):
                continue
            now = printed(command, folder)
            if now != shown:
                wrong.append((command, shown, now))
                line = f"{PROMPT}{command}\n"
                text = text.replace(f"{line}{shown}\n" if shown else line, f"{line}{now}\n", 1)
    if os.environ.get("UPDATE_README"):
        README.write_text(text, encoding="utf-8")
    else:
        assert wrong == []


def test_the_python_from_code_is_what_the_runtime_takes(folder: Path) -> None:
    """The last block runs as it stands, once the emulator takes Claude's place."""
    blocks = [block for language, block in BLOCK.findall(README.read_text(encoding="utf-8")) if language == "python"]
    (folder / "prompts" / "desk").mkdir(parents=True)
    for layer, line in (("static", "Desk of {{ company }}."), ("session", "{{ passenger }}"), ("turn", "{{ now }}")):
        (folder / "prompts" / "desk" / f"{layer}.j2").write_text(line, encoding="utf-8")
    (folder / "desk.py").write_text(blocks[0], encoding="utf-8")
    (folder / "main.py").write_text(blocks[-1], encoding="utf-8")
    served = (
        "import asyncio, os, runpy, threading\n"
        "from agentcache.emulator.server import serve\n"
        "from desk import emulated_replies\n"
        "async def host():\n"
        "    async with serve(emulated_replies) as emulator:\n"
        "        os.environ['ANTHROPIC_BASE_URL'] = emulator.base_url\n"
        "        await asyncio.to_thread(runpy.run_path, 'main.py', run_name='__main__')\n"
        "asyncio.run(host())\n"
    )
    done = subprocess.run([sys.executable, "-c", served], cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert "The next boat leaves at 15:05." in done.stdout
