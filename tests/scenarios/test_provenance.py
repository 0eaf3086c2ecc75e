"""A section that moved is named by template, line and variable: agents run, an emulator bills, the ledger tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agentcache import Agent, Prompt, Runtime
from agentcache.cli.app import app
from agentcache.cli.explain_ledger import findings_text, ledger_findings
from agentcache.emulator.clock import VirtualClock
from agentcache.emulator.server import serve
from tests.postgresql import KeptDatabases
from tests.scenarios.stage import MODEL, prose

RULES = prose("orders", 300)


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path, kept_databases: KeptDatabases) -> str:
    """A database that can be opened again."""
    return f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else await kept_databases.bare()


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[tuple[Runtime, VirtualClock]]:
    clock = VirtualClock()
    async with (
        serve(lambda request: "ok", clock=clock) as emulator,
        Runtime(url, base_url=emulator.base_url, clock=clock.now, **settings) as runtime,
    ):
        yield runtime, clock


async def found_of(url: str, *, run: str | None = None) -> dict[str, Any]:
    """Return the one finding there is."""
    (found,) = await ledger_findings(url, run=run)
    return found


async def ran_twice(url: str, *agents: Agent[Any], **settings: Any) -> dict[str, Any]:
    """Run agents one after the other, a question each, and return what is found of the last run."""
    async with opened(url, **settings) as (runtime, clock):
        for agent in agents:
            result = await runtime.run(agent, "What is new?")
            await clock.advance(30)
    return await found_of(url, run=result.run_id)


def desk(folder: Path, files: Mapping[str, str], **variables: Any) -> Agent[Any]:
    """Declare an agent from a directory of templates, with variables of the static layer."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Agent(name="desk", model=MODEL, prompt=Prompt.from_dir(folder), variables=variables)


async def test_a_clock_in_the_semi_static_layer(url: str, tmp_path: Path):
    folder = tmp_path / "prompts"
    desk(folder, {"static.j2": RULES, "semi_static.j2": f"# News\n{prose('news', 60)}\nIt is {{{{ now }}}}.\n"}, now="")
    times = iter(["10:20", "10:21"])
    agent = Agent(
        name="desk",
        model=MODEL,
        prompt=Prompt.from_dir(folder),
        semi_static=lambda: {"now": next(times)},
        refresh="10s",
    )

    found = await ran_twice(url, agent, agent)

    assert (found["path"], found["line"]) == (f"{folder}/semi_static.j2", 3)
    assert (found["layer"], found["section"], found["variables"]) == ("semi_static", "semi_static", ["now"])
    assert f"{folder}/semi_static.j2:3 prints {{{{ now }}}}" in found["message"]
    assert "refresh `now` less often" in found["fix"]
    assert (found["code"], found["before"], found["after"]) == (None, None, None)


async def test_a_value_of_one_user_in_the_static_layer(url: str, tmp_path: Path):
    files = {"static.j2": f"You serve {{{{ user.name }}}}.\n{RULES}"}

    found = await ran_twice(url, *(desk(tmp_path / "p", files, user={"name": name, "id": 4}) for name in ("Ana", "Bo")))

    assert (found["path"], found["line"], found["layer"]) == (f"{tmp_path}/p/static.j2", 1, "static")
    assert found["variables"] == ["user"]
    assert "static.j2:1 prints {{ user.name }}, and that changed" in found["message"]
    assert found["fix"] == "move `user` to a less stable layer"


async def test_items_that_come_in_another_order(url: str, tmp_path: Path):
    files = {"static.j2": f"{RULES}\nTags:\n{{% for tag in tags %}}\n- {{{{ tag }}}}\n{{% endfor %}}"}

    found = await ran_twice(
        url, *(desk(tmp_path / "p", files, tags=tags) for tags in (["red", "blue"], ["blue", "red"]))
    )

    assert (found["line"], found["variables"]) == (4, ["tags"])
    assert "static.j2:4 prints {{ tag }} (from `tags`)" in found["message"]


async def test_one_item_more_is_what_the_loop_over_them_decides(url: str, tmp_path: Path):
    files = {"static.j2": f"{RULES}\n{{% for tag in tags %}}\n- {{{{ tag }}}}\n{{% endfor %}}\nThat is all."}

    found = await ran_twice(url, *(desk(tmp_path / "p", files, tags=tags) for tags in (["red"], ["red", "blue"])))

    assert (found["line"], found["variables"]) == (3, ["tags"])
    assert "comes out otherwise, as `tags` decides" in found["message"]


async def test_a_branch_is_named_by_its_condition(url: str, tmp_path: Path):
    files = {"static.j2": f"{RULES}\n{{% if vip %}}\nBe quick.\n{{% endif %}}\nBe kind."}

    found = await ran_twice(url, *(desk(tmp_path / "p", files, vip=vip) for vip in (False, True)))

    assert (found["line"], found["variables"]) == (3, ["vip"])
    assert "as `vip` decides" in found["message"]


async def test_a_variable_in_an_included_file(url: str, tmp_path: Path):
    files = {"static.j2": f'{RULES}\n{{% include "shared/who.j2" %}}', "shared/who.j2": "---\nFor {{ company }}."}

    found = await ran_twice(url, *(desk(tmp_path / "p", files, company=name) for name in ("Acme", "Umbrella")))

    assert (found["path"], found["line"], found["variables"]) == ("shared/who.j2", 2, ["company"])


async def test_a_macro_of_another_file_names_what_it_was_called_with(url: str, tmp_path: Path):
    files = {
        "static.j2": f'{{% from "rows.j2" import row %}}\n{RULES}\n{{{{ row(order) }}}}',
        "rows.j2": "{% macro row(what) %}\n* {{ what.id }}\n{% endmacro %}",
    }

    found = await ran_twice(url, *(desk(tmp_path / "p", files, order={"id": number}) for number in (17, 18)))

    assert (found["path"], found["line"], found["variables"]) == ("rows.j2", 2, ["order"])
    assert "rows.j2:2 prints {{ what.id }} (from `order`)" in found["message"]


async def test_a_template_that_was_edited_names_the_line(url: str, tmp_path: Path):
    first = desk(tmp_path / "p", {"static.j2": f"Be brief.\nBe kind.\n{RULES}"})
    second = desk(tmp_path / "p", {"static.j2": f"Be brief.\nBe quick.\n{RULES}"})

    found = await ran_twice(url, first, second)

    assert (found["line"], found["variables"]) == (2, [])
    assert f"{tmp_path}/p/static.j2:2 has other text of its own" in found["message"]


async def test_text_declared_in_python_is_called_what_its_section_is_called(url: str):
    agents = [
        Agent(name="desk", model=MODEL, prompt=Prompt(static=f"{RULES}\nFor {{{{ who }}}}."), variables={"who": who})
        for who in ("Ana", "Bo")
    ]

    found = await ran_twice(url, *agents)

    assert (found["path"], found["line"], found["variables"]) == ("static", 2, ["who"])


async def test_where_text_is_kept_it_is_told_from_what_to_what(url: str, tmp_path: Path):
    files = {"static.j2": f"{RULES}\nThe time is {{{{ now }}}}."}

    found = await ran_twice(
        url, *(desk(tmp_path / "p", files, now=f"2026-11-28 {time}") for time in ("10:20", "10:21")), keep_text=True
    )

    assert (found["code"], found["name"], found["severity"]) == ("PC001", "clock-in-prefix", "error")
    assert ("10:20" in found["before"], "10:21" in found["after"]) == (True, True)
    page = findings_text([found]).plain
    assert "static.j2:2 prints {{ now }}" in page
    assert f"- {found['before']}" in page


async def test_a_request_log_of_ours_names_the_place_too(tmp_path: Path):
    (found,) = await _explained(await _logged(tmp_path))

    assert (found["code"], found["path"], found["line"]) == ("PC001", f"{tmp_path}/p/static.j2", 2)
    assert (found["layer"], found["variables"], found["where"]) == ("static", ["now"], "system[0]")
    assert "clock in prefix at system[0]: " in found["message"]
    assert "static.j2:2 prints {{ now }}" in found["message"]


async def test_a_log_of_another_version_is_read_all_the_same(tmp_path: Path):
    log = await _logged(tmp_path)
    lines = [json.loads(line) for line in (await asyncio.to_thread(log.read_text)).splitlines()]
    changed = [{**line, "sections": [{**line["sections"][0], "made_of": {"sites": 7}}, "what"]} for line in lines]
    await asyncio.to_thread(log.write_text, "\n".join(map(json.dumps, changed)))

    (found,) = await _explained(log)

    assert (found["code"], found["path"], found["layer"]) == ("PC001", str(log), None)


async def _logged(tmp_path: Path) -> Path:
    """Record two calls of an agent with a clock in its static layer."""
    log, files = tmp_path / "log.jsonl", {"static.j2": f"{RULES}\nThe time is {{{{ now }}}}."}
    agents = [desk(tmp_path / "p", files, now=f"2026-11-28 {time}") for time in ("10:20", "10:21")]
    await ran_twice(f"sqlite:///{tmp_path}/ledger.db", *agents, record_requests=log)
    return log


async def _explained(log: Path) -> list[dict[str, Any]]:
    told = await asyncio.to_thread(CliRunner().invoke, app, ["explain", "--log", str(log), "--format", "json"])
    findings: list[dict[str, Any]] = json.loads(told.stdout)["findings"]
    return findings


async def test_the_ledger_holds_no_value_unless_it_keeps_text(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    files = {"static.j2": f"{RULES}\nFor {{{{ user }}}}."}

    await ran_twice(url, *(desk(tmp_path / "p", files, user=name) for name in ("Annabella-Maria", "Bo")))

    written = await asyncio.to_thread(lambda: b"".join(path.read_bytes() for path in tmp_path.glob("ledger.db*")))
    assert b"user" in written
    assert b"Annabella" not in written
    assert b"Sentence 7" not in written


async def test_what_a_section_is_made_of_is_kept_once(url: str, tmp_path: Path):
    agent = desk(tmp_path / "p", {"static.j2": RULES})
    async with opened(url) as (runtime, clock):
        await asyncio.gather(*(runtime.run(agent, f"Question {number}") for number in range(8)))
        await clock.advance(30)
        calls = await runtime.ledger.calls()
        digests = {span.provenance for call in calls for span in call.prompt_spans or () if span.section}
        kept = await runtime.ledger.provenance([str(each) for each in digests])

    assert len(digests) == len(kept) == 1


async def test_the_apis_diagnosis_stands_beside_ours(url: str, tmp_path: Path):
    files = {"static.j2": RULES, "session.j2": f"It is {{{{ now }}}}. {prose('news', 120)}"}
    desk(tmp_path / "p", files)
    agent = Agent(name="desk", model=MODEL, prompt=Prompt.from_dir(tmp_path / "p"))
    async with opened(url, diagnostics=True) as (runtime, clock):
        for now in ("noon", "one"):
            await runtime.run(agent, "What is new?", session={"now": now}, conversation="c")
            await clock.advance(30)

    found = await found_of(url)

    assert (found["api"]["verdict"], found["api"]["reason"]) == ("agrees", "system_changed")
    assert (found["code"], found["variables"]) == ("PC057", ["now"])
    assert "API: agrees (system_changed, about" in findings_text([found]).plain


async def test_an_expiry_is_no_difference_to_the_api(url: str, tmp_path: Path):
    agent = desk(tmp_path / "p", {"static.j2": RULES})
    async with opened(url, diagnostics=True) as (runtime, clock):
        for _ in range(2):
            result = await runtime.run(agent, "What is new?", conversation="c")
            await clock.advance(2 * 3600)

    found = await found_of(url, run=result.run_id)

    assert (found["cause"], found["api"]["verdict"], found["api"]["reason"]) == ("expired", "agrees", "no_difference")


async def test_nobody_asked_the_api(url: str, tmp_path: Path):
    found = await ran_twice(url, *(desk(tmp_path / "p", {"static.j2": f"{who} {RULES}"}) for who in ("Ana", "Bo")))

    assert found["api"]["verdict"] == "not asked"
    assert "API: not asked" in findings_text([found]).plain
