from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from agentcache.cli.settings import read_settings
from agentcache.errors import SettingsError


def _pyproject(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(text)


def test_without_any_setting_the_ledger_is_the_default_one_and_keeps_no_text(tmp_path: Path) -> None:
    settings = read_settings(environment={}, folder=tmp_path)

    assert settings.db_url is None
    assert settings.keep_text is False
    assert settings.max_usd is None


def test_pyproject_sets_what_the_environment_does_not(tmp_path: Path) -> None:
    _pyproject(tmp_path, '[tool.agentcache]\ndb_url = "sqlite+aiosqlite:///a.db"\nmax_usd = "0.50"\n')

    settings = read_settings(environment={}, folder=tmp_path)

    assert settings.db_url == "sqlite+aiosqlite:///a.db"
    assert settings.max_usd == Decimal("0.50")


def test_the_memo_has_a_url_of_its_own(tmp_path: Path) -> None:
    _pyproject(tmp_path, '[tool.agentcache]\nmemo_url = ".agentcache/memo.db"\n')

    settings = read_settings(environment={"AGENTCACHE_MEMO_URL": "redis://localhost"}, folder=tmp_path)

    assert read_settings(environment={}, folder=tmp_path).memo_url == ".agentcache/memo.db"
    assert settings.memo_url == "redis://localhost"


def test_the_environment_goes_over_pyproject(tmp_path: Path) -> None:
    _pyproject(tmp_path, '[tool.agentcache]\ndb_url = "from-file"\nkeep_text = false\n')

    settings = read_settings(
        environment={"AGENTCACHE_DB_URL": "from-env", "AGENTCACHE_KEEP_TEXT": "1"}, folder=tmp_path
    )

    assert (settings.db_url, settings.keep_text) == ("from-env", True)


def test_arguments_go_over_everything_and_absent_ones_change_nothing(tmp_path: Path) -> None:
    settings = read_settings(
        environment={"AGENTCACHE_DB_URL": "from-env", "AGENTCACHE_KEEP_TEXT": "1"}, folder=tmp_path
    )

    overridden = settings.overridden(db_url="from-argument", keep_text=None)

    assert (overridden.db_url, overridden.keep_text) == ("from-argument", True)
    assert settings.overridden(keep_text=False).keep_text is False


def test_a_misspelt_setting_is_refused_with_the_right_spelling(tmp_path: Path) -> None:
    _pyproject(tmp_path, '[tool.agentcache]\ndb_uri = "x"\n')

    with pytest.raises(SettingsError, match=r"pyproject\.toml: no setting is called 'db_uri'; did you mean 'db_url'\?"):
        read_settings(environment={}, folder=tmp_path)


def test_a_value_of_the_wrong_kind_names_the_setting_and_where_it_stands(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"the environment \(AGENTCACHE_\.\.\.\): 'max_usd' is 'plenty'"):
        read_settings(environment={"AGENTCACHE_MAX_USD": "plenty"}, folder=tmp_path)


def test_a_pyproject_that_is_no_toml_is_one_sentence(tmp_path: Path) -> None:
    _pyproject(tmp_path, "[tool.agentcache\n")

    with pytest.raises(SettingsError, match=r"pyproject\.toml cannot be read"):
        read_settings(environment={}, folder=tmp_path)


def test_another_tools_pyproject_sets_nothing(tmp_path: Path) -> None:
    _pyproject(tmp_path, "[tool.ruff]\nline-length = 100\n")

    assert read_settings(environment={}, folder=tmp_path).db_url is None
