"""What can be run durably, under which ids and settings, and what comes back."""

from __future__ import annotations

import pytest

from agentcache import (
    Durable,
    Run,
    SettingsError,
    workflow,
)
from agentcache.workflow.durable_database import database_of, require_sqlite
from tests.durable.conftest import Model, durably
from tests.workflow.conftest import agent, staged


@workflow
async def chorus(run: Run, texts: list[str]) -> list[str]:
    return list(await run.gather(*(run.ask(agent(), text) for text in texts)))


async def test_gathered_answers_may_be_returned_where_a_list_is_declared(store: str):
    @workflow
    async def both(run: Run) -> list[str]:
        return await run.gather(run.ask(agent(), "a"), run.ask(agent(), "b"))  # type: ignore[return-value]

    async with durably(Model(), store) as on:
        first = await on.runtime.run_as("one", both)
        again = await on.runtime.run_as("one", both)
    assert first.output == again.output == ["a!", "b!"]


async def test_a_tuple_where_nothing_is_declared_is_an_error(store: str):
    @workflow
    async def both(run: Run):
        return await run.gather(run.ask(agent(), "a"), run.ask(agent(), "b"))

    async with durably(Model(), store) as on:
        with pytest.raises(SettingsError, match="this tuple cannot be kept"):
            await on.runtime.run_as("one", both)


# --- what cannot be ---------------------------------------------------------------------------------------------------


async def test_an_id_stands_for_one_thing(store: str):
    async with durably(Model(), store) as on:
        await on.runtime.run_as("one", chorus, ["a"])
        with pytest.raises(SettingsError, match="does not stand for 'chorus' with these arguments"):
            await on.runtime.run_as("one", chorus, ["b"])
        for bad in ("", "a/b", "x" * 129):
            with pytest.raises(SettingsError, match="an id is 1 to 128 characters"):
                await on.runtime.run_as(bad, chorus, ["a"])


async def test_arguments_and_results_are_json(store: str):
    @workflow
    async def opaque(run: Run, what: object) -> object:
        return object()

    async with durably(Model(), store) as on:
        with pytest.raises(SettingsError, match="'opaque' runs durably, so its arguments must be JSON"):
            await on.runtime.run(opaque, object())
        with pytest.raises(SettingsError, match="opaque: a durable run keeps its result as JSON, and this object"):
            await on.runtime.run(opaque, 1)


async def test_a_durable_run_needs_a_durable_runtime(store: str):
    async with staged(Model(), store=store) as on:
        with pytest.raises(SettingsError, match="durable=Durable"):
            await on.runtime.run_as("one", agent(), "a")


@pytest.mark.parametrize(
    ("ledger", "record"),
    [
        (None, "sqlite:///.agentcache/ledger.durable.db"),
        ("in_memory_of/ledger.db", "sqlite:///in_memory_of/ledger.durable.db"),
        ("postgresql://u:p@h/memory", "postgresql+asyncpg://u:p@h/memory"),
    ],
)
def test_the_record_stands_beside_the_ledger(ledger: str | None, record: str):
    assert database_of(Durable(), ledger) == record


async def test_a_ledger_in_memory_keeps_no_durable_run():
    with pytest.raises(SettingsError, match="give store a file"):
        async with durably(Model(), "memory:"):
            pass


async def test_a_process_has_one_durable_runtime_and_may_have_the_next(store: str):
    async with durably(Model(), store) as on:
        with pytest.raises(SettingsError, match="it can have one"):
            async with durably(Model(), store):
                pass
        assert (await on.runtime.run(agent(), "still works")).output == "still works!"
    async with durably(Model(), store) as on:
        assert (await on.runtime.run(agent(), "a")).output == "a!"


def test_bounds_of_the_settings_are_above_zero():
    with pytest.raises(SettingsError, match="above zero"):
        Durable(poll_s=0)


@pytest.mark.parametrize(("python", "sqlite"), [((3, 11), (3, 40, 1)), ((3, 12), (3, 42, 0)), ((3, 14), (3, 51, 1))])
def test_a_file_can_be_durable_with_the_sqlite_that_its_engine_wants(python, sqlite):
    require_sqlite(python, sqlite)


def test_a_python_whose_sqlite_is_too_old_for_durable_files_is_told_so():
    with pytest.raises(
        SettingsError, match=r"need SQLite 3\.42 on Python 3\.12 and newer, and this Python has 3\.40\.1"
    ):
        require_sqlite((3, 12), (3, 40, 1))
