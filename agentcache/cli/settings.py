"""Which settings hold: arguments over environment variables over `[tool.agentcache]` of a `pyproject.toml`.

Knows the names and types of all settings and where each may come from. Knows nothing of what they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from agentcache.accounting.alerts import AgentThresholds, Thresholds
from agentcache.cli.pyproject import our_table
from agentcache.errors import SettingsError

ENVIRONMENT_PREFIX = "AGENTCACHE_"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds when the command line does not say; each may be set in the environment or in `pyproject.toml`."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    db_url: str | None = None
    """The ledger's database URL; `None` is `.agentcache/ledger.db` in the current folder."""
    keep_text: bool = False
    """Whether the ledger keeps requests and replies."""
    max_usd: Decimal | None = None
    """Dollars that one run may spend; `None` is no bound."""
    memo_url: str | None = None
    """Where results of deterministic tools are kept beyond the process; `None` is in memory only."""
    record_requests: Path | None = None
    """The file that a request log is appended to; `None` records none."""

    def overridden(self, **arguments: object) -> Settings:
        """Return the settings with every argument that was given (is not `None`) in place of ours."""
        given = {name: value for name, value in arguments.items() if value is not None}
        return _checked(_SETTINGS, {**asdict(self), **given}, "the command line", _NAMES)


_NAMES = [item.name for item in fields(Settings)]
_SETTINGS = TypeAdapter(Settings)
_ALERTS = "alerts"
"""The table within ours that has settings of its own."""
_LINT = "lint"
"""The one that the linter reads (lint_settings.py)."""
_THRESHOLDS = TypeAdapter(Thresholds)
_AGENT_THRESHOLDS = TypeAdapter(AgentThresholds)
_AGENTS = "agents"
"""The table within that of thresholds that has some for agents by their names."""


def read_settings(*, environment: Mapping[str, str], folder: Path) -> Settings:
    """Return the settings of `environment` over those of `folder`'s `pyproject.toml`.

    Raises `SettingsError` for a file that is no TOML, a setting that does not exist, or a value of the wrong type.
    """
    path = folder / "pyproject.toml"
    table = {name: value for name, value in our_table(path).items() if name not in {_ALERTS, _LINT}}
    from_file = _checked(_SETTINGS, table, f"[tool.agentcache] in {path}", [*_NAMES, _ALERTS, _LINT])
    names = {f"{ENVIRONMENT_PREFIX}{name.upper()}": name for name in _NAMES}
    given = {names[key]: value for key, value in environment.items() if key in names and value}
    return _checked(_SETTINGS, {**asdict(from_file), **given}, f"the environment ({ENVIRONMENT_PREFIX}...)", _NAMES)


def read_thresholds(folder: Path) -> Thresholds:
    """Return the thresholds of `[tool.agentcache.alerts]` in `folder`'s `pyproject.toml`.

    Raises `SettingsError` for a file that is no TOML, a threshold that does not exist or has no meaning, and for none.
    """
    path = folder / "pyproject.toml"
    place = f"tool.agentcache.{_ALERTS}"
    table = _thresholds_at(place, our_table(path).get(_ALERTS), path, [item.name for item in fields(Thresholds)])
    general = {name: value for name, value in table.items() if name != _AGENTS}
    names = [item.name for item in fields(AgentThresholds)]
    thresholds = _checked(_THRESHOLDS, general, f"[{place}] in {path}", [*names, _AGENTS])
    if _AGENTS not in table:
        return thresholds
    agents = {}
    for agent, value in _thresholds_at(f"{place}.{_AGENTS}", table[_AGENTS], path, ["a table for each agent"]).items():
        own = f"{place}.{_AGENTS}.{agent}"
        agents[agent] = _checked(
            _AGENT_THRESHOLDS, _thresholds_at(own, value, path, names), f"[{own}] in {path}", names
        )
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


def _checked(adapter: TypeAdapter[_T], values: Mapping[str, object], where: str, names: Sequence[str]) -> _T:
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = ".".join(map(str, problem["loc"]))
        if problem["type"] == "unexpected_keyword_argument":
            close = get_close_matches(name, names, n=1)
            remedy = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names)}"
            raise SettingsError(f"{where}: no setting is called {name!r}; {remedy}") from error
        raise SettingsError(f"{where}: {name!r} is {problem['input']!r}: {problem['msg']}") from error
