"""The thresholds of `[tool.agentcache.alerts]`, which `report --check` holds a ledger against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from pydantic import TypeAdapter

from agentcache.accounting.alerts import AgentThresholds, Thresholds
from agentcache.cli.pyproject import our_table
from agentcache.cli.setting_values import checked
from agentcache.cli.settings import ALERTS
from agentcache.errors import SettingsError

_THRESHOLDS = TypeAdapter(Thresholds)
_AGENT_THRESHOLDS = TypeAdapter(AgentThresholds)
_AGENTS = "agents"
"""The table within that of thresholds that has some for agents by their names."""


def read_thresholds(folder: Path) -> Thresholds:
    """Return the thresholds of `[tool.agentcache.alerts]` in `folder`'s `pyproject.toml`.

    Raises `SettingsError` for a file that is no TOML, a threshold that does not exist or has no meaning, and for none.
    """
    path = folder / "pyproject.toml"
    place = f"tool.agentcache.{ALERTS}"
    table = _thresholds_at(place, our_table(path).get(ALERTS), path, [item.name for item in fields(Thresholds)])
    general = {name: value for name, value in table.items() if name != _AGENTS}
    names = [item.name for item in fields(AgentThresholds)]
    thresholds = checked(_THRESHOLDS, general, f"[{place}] in {path}", [*names, _AGENTS])
    if _AGENTS not in table:
        return thresholds
    agents = {}
    for agent, value in _thresholds_at(f"{place}.{_AGENTS}", table[_AGENTS], path, ["a table for each agent"]).items():
        own = f"{place}.{_AGENTS}.{agent}"
        agents[agent] = checked(_AGENT_THRESHOLDS, _thresholds_at(own, value, path, names), f"[{own}] in {path}", names)
    return replace(thresholds, agents=agents)


def _thresholds_at(place: str, table: object, path: Path, names: Sequence[str]) -> Mapping[str, object]:
    """Return a table that is there and has something in it."""
    if table is None or table == {}:
        raise SettingsError(
            f"[{place}] in {path} has no threshold to check against; set one or more of: {', '.join(names)}"
        )
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: `{place}` is not a table; write [{place}]")
    return table
