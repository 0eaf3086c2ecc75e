"""Which settings hold: arguments over environment variables over `[tool.agentcache]` of a `pyproject.toml`.

Knows the names and types of all settings and where each may come from. Knows nothing of what they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from agentcache.cli.pyproject import our_table

if TYPE_CHECKING:
    from pydantic import ConfigDict

ENVIRONMENT_PREFIX = "AGENTCACHE_"
ALERTS = "alerts"
"""The table within ours that has settings of its own (thresholds.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds when the command line does not say; each may be set in the environment or in `pyproject.toml`."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

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
        return _with(self, given, "the command line", _NAMES)


_NAMES = [item.name for item in fields(Settings)]
_TEXTS = frozenset({"db_url", "memo_url"})
"""Settings that take any text."""
_LINT = "lint"
"""The one that the linter reads (lint_settings.py)."""


def read_settings(*, environment: Mapping[str, str], folder: Path) -> Settings:
    """Return the settings of `environment` over those of `folder`'s `pyproject.toml`.

    Raises `SettingsError` for a file that is no TOML, a setting that does not exist, or a value of the wrong type.
    """
    path = folder / "pyproject.toml"
    table = {name: value for name, value in our_table(path).items() if name not in {ALERTS, _LINT}}
    from_file = _with(Settings(), table, f"[tool.agentcache] in {path}", [*_NAMES, ALERTS, _LINT])
    names = {f"{ENVIRONMENT_PREFIX}{name.upper()}": name for name in _NAMES}
    given = {names[key]: value for key, value in environment.items() if key in names and value}
    return _with(from_file, given, f"the environment ({ENVIRONMENT_PREFIX}...)", _NAMES)


def _with(settings: Settings, given: Mapping[str, object], where: str, names: Sequence[str]) -> Settings:
    """Return `settings` with what is given in its place. Raises `SettingsError` as `checked` does."""
    texts = {name: value for name, value in given.items() if name in _TEXTS and isinstance(value, str)}
    if texts == given:
        return replace(settings, **{name: texts.get(name, getattr(settings, name)) for name in _TEXTS})
    # Start-up time: pydantic takes longer than most commands, and often nothing is given that needs it.
    from pydantic import TypeAdapter

    from agentcache.cli.setting_values import checked  # start-up time: it imports pydantic too

    return checked(TypeAdapter(Settings), {**asdict(settings), **given}, where, names)
