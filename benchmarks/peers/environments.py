"""A virtual environment for each peer, made once with `venv` and `pip install NAME==VERSION`, one at a time."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).with_name("peers.toml")


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A line of `peers.toml`. Without packages it runs in this interpreter's environment: it is ours."""

    name: str
    title: str
    settings: tuple[str, ...]
    packages: tuple[str, ...] = ()

    @property
    def player(self) -> Path:
        """The script that plays it."""
        return DATA.with_name(f"play_{self.name.replace('-', '_')}.py")


class NotInstalled(Exception):
    """A peer's packages cannot be installed here; the message says why."""


def read_peers() -> list[Peer]:
    """Return everybody in the order of the data file."""
    described = tomllib.loads(DATA.read_text(encoding="utf-8"))
    return [
        Peer(
            name=name,
            title=peer["title"],
            settings=tuple(peer["settings"]),
            packages=tuple(peer.get("packages", ())),
        )
        for name, peer in described.items()
    ]


def python_of(peer: Peer, room: Path) -> Path:
    """Return the interpreter that has the peer's packages, made in `room` when it is not there yet.

    Raises `NotInstalled`.
    """
    if not peer.packages:
        return Path(sys.executable)
    home = room / peer.name
    python, stamp = home / "bin" / "python", home / "installed.txt"
    wanted = "\n".join(peer.packages)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"installing {' '.join(peer.packages)}", file=sys.stderr)
    _run([sys.executable, "-m", "venv", "--clear", str(home)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.packages])
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise NotInstalled((said or [f"{command[1:4]} ended with {done.returncode}"])[0][:200])
