"""Which database a URL means, and what is said when it cannot be opened."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

from agentcache.errors import SchemaTooNew, StoreError
from agentcache.stores.opening import normal_url, open_ledger


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        (None, "sqlite:///.agentcache/ledger.db"),
        ("x.db", "sqlite:///x.db"),
        ("/tmp/x.sqlite3", "sqlite:////tmp/x.sqlite3"),
        ("sqlite:///x.db", "sqlite:///x.db"),
        ("sqlite+aiosqlite:////tmp/x", "sqlite:////tmp/x"),
        ("postgres://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql://u:p@h:1/d?ssl=require", "postgresql+asyncpg://u:p@h:1/d?ssl=require"),
        ("postgresql+asyncpg://h/d", "postgresql+asyncpg://h/d"),
    ],
)
def test_short_forms_name_their_driver(given: str | None, normal: str):
    assert normal_url(given).render_as_string(hide_password=False) == normal


def test_a_path_is_taken_as_it_is():
    assert normal_url("/tmp/what? #1.db").database == "/tmp/what? #1.db"


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))

    assert normal_url("~/x.db").database == normal_url("sqlite:///~/x.db").database == f"{tmp_path}/x.db"


@pytest.mark.parametrize(
    "given",
    ["", "ledger", "mysql://u:secret@h/d", "sqlite:///", "postgresql://u:secret@h", "postgresql://u:secret@h:x/d"],
)
def test_what_names_no_database_is_refused_without_its_password(given: str):
    with pytest.raises(StoreError, match=r"give a path that ends in \.db") as refused:
        normal_url(given)

    assert "secret" not in str(refused.value)


async def test_the_default_is_a_file_in_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)

    await (await open_ledger()).close()

    assert (tmp_path / ".agentcache" / "ledger.db").is_file()


async def test_missing_directories_are_made(tmp_path: Path):
    await (await open_ledger(f"sqlite:///{tmp_path}/a/b/ledger.db")).close()

    assert (tmp_path / "a" / "b" / "ledger.db").is_file()


async def refusal(url: str) -> str:
    with pytest.raises(StoreError) as refused:
        await open_ledger(url)
    return str(refused.value)


async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path):
    path = tmp_path / "notes.db"
    path.write_text("Nothing of a database here. " * 100)

    told = await refusal(str(path))

    assert told.startswith(f"{path}: cannot open the ledger")
    assert "move it away, or name another file" in told
    assert path.read_text() == "Nothing of a database here. " * 100


async def test_a_damaged_database_is_told(tmp_path: Path):
    path = tmp_path / "ledger.db"
    await (await open_ledger(str(path))).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))

    told = await refusal(str(path))

    assert str(path) in told
    assert "move it away, or name another file" in told


async def test_a_directory_is_no_file(tmp_path: Path):
    (tmp_path / "ledger.db").mkdir()

    assert "is a directory" in await refusal(str(tmp_path / "ledger.db"))


@pytest.mark.parametrize("path", ["/proc/agentcache/ledger.db", "/dev/null/ledger.db"])
async def test_a_place_that_cannot_be_written_is_told(path: str):
    told = await refusal(path)

    assert told.startswith(f"{path}: its directory cannot be made")
    assert "name a path that can be written" in told


async def test_a_directory_that_takes_no_files_is_told():
    assert "check that its directory exists and can be written" in await refusal("/proc/ledger.db")


async def test_a_database_of_another_program_is_told(tmp_path: Path):
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE runs (distance REAL)")

    assert "is a database of another program" in await refusal(str(path))


async def test_a_ledger_of_a_newer_agentcache_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "ledger.db"
    await (await open_ledger(str(path))).close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("INSERT INTO schema_migrations VALUES ('9999_of_next_year', 0)")
        newer.commit()

    with pytest.raises(SchemaTooNew, match=r"9999_of_next_year.*upgrade agentcache"):
        await open_ledger(str(path))


async def test_options_of_a_sqlite_url_are_refused(tmp_path: Path):
    assert "leave out what follows the '?'" in await refusal(f"sqlite:///{tmp_path}/x.db?mode=ro")


async def test_an_option_that_postgresql_does_not_know_is_told():
    if find_spec("asyncpg") is None:
        pytest.skip("PostgreSQL is tested where asyncpg is installed")

    assert "take that option out of the URL" in await refusal("postgresql://127.0.0.1:5432/test?speed=high")


async def test_a_server_that_is_not_there_is_told_without_its_password():
    if find_spec("asyncpg") is None:
        pytest.skip("PostgreSQL is tested where asyncpg is installed")

    told = await refusal("postgresql://user:secret@127.0.0.1:1/d")

    assert "check host and port" in told
    assert "secret" not in told
