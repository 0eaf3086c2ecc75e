"""`pyproject.toml`: the table of it that is ours. Cheap to import, since every command reads settings."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from agentcache.errors import SettingsError


def our_table(path: Path) -> Mapping[str, object]:
    """Return `[tool.agentcache]` of the file; empty when there is no file or no such table.

    Raises `SettingsError` for a file that is no TOML, or where the name stands for something else than a table.
    """
    if not path.is_file():
        return {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    tool = document.get("tool")
    table = tool.get("agentcache", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: `tool.agentcache` is not a table; write [tool.agentcache]")
    return table
