"""`[tool.agentcache.lint]`: what the linter does when the command line does not say.

Of several `pyproject.toml` the nearest one above a file that has this table holds for it. Checked by hand and not by
pydantic, whose import alone takes longer than linting a project.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path

from agentcache.cli.pyproject import our_table
from agentcache.errors import SettingsError
from agentcache.lint.selection import ALL, Selection


class LintFormat(StrEnum):
    """How findings are told."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


@dataclass(frozen=True, slots=True, kw_only=True)
class LintSettings:
    """The settings of one table.

    root: the folder of its file, which patterns and the baseline are relative to. source: the file, for messages.
    """

    root: Path
    source: str = "the command line"
    select: tuple[str, ...] = (ALL,)
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    """Patterns of files and folders that are not linted."""
    baseline: str | None = None
    output_format: LintFormat | None = None

    def selection(
        self, *, select: tuple[str, ...], ignore: tuple[str, ...], extend_select: tuple[str, ...]
    ) -> Selection:
        """Return the rules that hold: `select` of the command line goes over ours, the other two are added to ours.

        Raises `SettingsError` for a selector that means no code.
        """
        Selection(select=select or (ALL,), ignore=ignore, extend_select=extend_select)  # blames the command line
        return Selection(
            select=select or self.select,
            ignore=(*self.ignore, *ignore),
            extend_select=(*self.extend_select, *extend_select),
            per_file_ignores=self.per_file_ignores,
            source=self.source,
        )


_TABLE = "lint"
_NAMES = {
    item.name.replace("_", "-"): item.name for item in fields(LintSettings) if item.name not in {"root", "source"}
}


class SettingsAbove:
    """Finds the settings that hold in a folder: of the nearest `pyproject.toml` upward that has our table.

    Where there is none, the defaults hold, and the folder of the process is what paths are relative to. Each file is
    read once.
    """

    def __init__(self) -> None:
        self._found: dict[Path, LintSettings | None] = {}

    def of(self, folder: Path) -> LintSettings:
        """Return the settings that hold in `folder`.

        Raises `SettingsError` for a file that is no TOML, an unknown setting, or a value of the wrong type.
        """
        return self._nearest(folder.resolve()) or LintSettings(root=Path.cwd())

    def _nearest(self, folder: Path) -> LintSettings | None:
        if folder not in self._found:
            path = folder / "pyproject.toml"
            table = our_table(path)
            if _TABLE in table:
                self._found[folder] = _settings(table[_TABLE], path)
            else:
                self._found[folder] = None if folder.parent == folder else self._nearest(folder.parent)
        return self._found[folder]


def _settings(table: object, path: Path) -> LintSettings:
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: `tool.agentcache.lint` is not a table; write [tool.agentcache.lint]")
    where = f"[tool.agentcache.lint] in {path}"
    given: dict[str, object] = {}
    for name, value in table.items():
        if name not in _NAMES:
            close = get_close_matches(name, _NAMES, n=1)
            remedy = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(_NAMES)}"
            raise SettingsError(f"{where}: no setting is called {name!r}; {remedy}")
        given[_NAMES[name]] = _READERS.get(name, _texts)(value, f"{where}: {name!r}")
    settings = LintSettings(root=path.parent, source=where, **given)  # type: ignore[arg-type]  # each was checked
    settings.selection(select=(), ignore=(), extend_select=())
    return settings


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f'{where} is {value!r}; write a list of texts, as ["PC001"]')
    return tuple(str(item) for item in value)


def _by_pattern(value: object, where: str) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise SettingsError(f'{where} is {value!r}; write a table, as {{ "shared/*.j2" = ["PC001"] }}')
    return {str(pattern): _texts(selectors, f"{where} of {pattern!r}") for pattern, selectors in value.items()}


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{where} is {value!r}; write a text in quotes")
    return value


def _format(value: object, where: str) -> LintFormat:
    if value not in set(LintFormat):
        raise SettingsError(f"{where} is {value!r}; write one of: {', '.join(LintFormat)}")
    return LintFormat(str(value))


_READERS: Mapping[str, Callable[[object, str], object]] = {
    "per-file-ignores": _by_pattern,
    "baseline": _text,
    "output-format": _format,
}
