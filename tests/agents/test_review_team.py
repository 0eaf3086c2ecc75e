"""The review team on the emulator: planner, four reviewers, editor, one report."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentcache import Agent, Stability, TargetError, Workflow
from agentcache.cli.target import load_agents, load_target
from agentcache.emulator.server import serve
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.token_estimate import text_tokens
from agentcache.workflow.runtime import Runtime
from agents import review as team
from agents.offline.checks import definitions
from agents.offline.report import SCRIPT_NOTICE
from agents.offline.script import emulated_replies
from agents.source_tree import SourceFile, SourceTree

ROOT = Path(__file__).parents[2]

SHOP = {
    "README.md": "# A small shop\n",
    "shop/__init__.py": "",
    "shop/orders.py": (
        "import os\n\n\n"
        "def place(order, queue=[]):\n"  # line 4: shared default
        "    try:\n"
        "        os.system('notify ' + order)\n"  # line 6: shell
        "    except:\n"  # line 7: bare except
        "        pass\n"
        "    queue.append(order)\n"
    ),
    "shop/stock.py": "def twins(items):\n    for a in items:\n        for b in items:\n            yield a, b\n",
    "tests/test_stock.py": "from shop import stock\n\n\ndef test_twins():\n    list(stock.twins([1]))\n",
    "settings.toml": "api_key = 'k3jd9sl2m5'\n",
    ".env": "TOKEN=live\n",
}
PLANTED = {
    "`shop/orders.py:4`": "Calls share one mutable default value",
    "`shop/orders.py:6`": "A command goes through a shell",
    "`shop/orders.py:7`": "Every error is caught, interruption included",
    "`shop/stock.py:3`": "A loop walks the same list again for each element",
    "`settings.toml:1`": "A credential seems to stand in the source",
    "`tests/test_stock.py:4`": "A test cannot fail on purpose",
}


def project(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


async def reviewed(path: Path) -> SimpleNamespace:
    """Review `path` offline; return the report, what the ledger holds and the requests as they were sent."""
    async with (
        serve(emulated_replies) as emulator,
        Runtime("memory:", api_key="emulated", base_url=emulator.base_url) as runtime,
    ):
        result = await runtime.run(team.review, str(path))
        return SimpleNamespace(
            report=result.output,
            calls=await runtime.ledger.calls(),
            tool_calls=await runtime.ledger.tool_calls(),
            requests=list(emulator.requests),
        )


def source_file(path: str, size_bytes: int = 100) -> SourceFile:
    return SourceFile(path=path, size_bytes=size_bytes, kind="text")


def finding(file: str, line: int, severity: str = "high") -> team.Finding:
    return team.Finding.model_validate(
        {"file": file, "line": line, "severity": severity, "title": "T", "explanation": "E", "suggestion": "S"}
    )


# The whole team


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """One review of the shop, which many tests look at."""
    place = tmp_path_factory.mktemp("projects") / "shop"
    done = asyncio.run(reviewed(project(place, SHOP)))
    done.place = place
    return done


def test_planted_mistakes_are_reported_at_their_true_place(shop):
    report = shop.report
    rows = [line for line in report.splitlines() if line.startswith("| ")]
    for place, title in PLANTED.items():
        assert any(place in row and title in row for row in rows), (place, title)


def test_every_place_in_the_report_exists(shop):
    report = shop.report
    places = re.findall(r"`([\w./]+):(\d+)`", report)
    assert len(places) >= len(PLANTED)
    for path, line in places:
        assert 1 <= int(line) <= max(len(SHOP[path].splitlines()), 1)


def test_the_report_says_at_its_top_that_a_script_wrote_it_and_counts_its_coverage(shop):
    report = shop.report
    assert SCRIPT_NOTICE in report.splitlines()[:4]
    assert "5 of 6 readable files were given to a reviewer" in report
    assert "| security | 4 | 1 |" in report


def test_every_member_works_through_the_tools_and_is_in_the_ledger(shop):
    assert {call.agent for call in shop.calls} == {"planner", "editor", *(f"{role}-reviewer" for role in team.ROLES)}
    assert {call.tool for call in shop.tool_calls} == {"list_files", "read_file", "search_text"}
    assert {call.outcome for call in shop.tool_calls} == {"ok"}


def test_later_calls_of_an_agent_read_what_earlier_ones_wrote(shop):
    later = [call for call in shop.calls if call.turn > 1]
    assert later
    assert all(call.usage.cache_read_tokens > 1024 for call in later)


async def test_two_projects_share_the_tools_and_static_text_of_every_role(shop, tmp_path):
    other = await reviewed(project(tmp_path, {"src/a.js": "eval(input)\n", "src/b.js": "let b\n"}))
    assert shared_parts(shop.requests) == shared_parts(other.requests)


def shared_parts(requests: list[dict[str, Any]]) -> set[str]:
    """Return, for each role, its tools and the two static system blocks, without marks."""
    stripped = re.compile(r""", 'cache_control': \{[^}]*\}""")
    return {stripped.sub("", str([item["model"], item.get("tools"), item["system"][:2]])) for item in requests}


def test_no_request_names_the_place_of_the_project_on_this_machine(shop):
    assert not any(str(shop.place) in str(request) for request in shop.requests)


def test_a_withheld_file_never_reaches_a_model(shop):
    assert not any("TOKEN=live" in str(request) for request in shop.requests)


async def test_an_empty_directory_costs_nothing_and_says_so(tmp_path):
    done = await reviewed(tmp_path)
    assert done.calls == []
    assert "There is nothing to review. It holds no files." in done.report


async def test_a_directory_of_binary_files_costs_nothing_and_says_so(tmp_path):
    (tmp_path / "logo.png").write_bytes(b"\x89PNG\0\0")
    done = await reviewed(tmp_path)
    assert done.calls == []
    assert "It holds no readable text (files found: 1)." in done.report


async def test_a_project_in_other_languages_is_reviewed(tmp_path):
    files = {
        "main.go": "// TODO: close it\n",
        "web/app.js": "eval(location.hash)\n",
        "Dockerfile": "RUN chmod 777 /srv\n",
    }
    report = (await reviewed(project(tmp_path, files))).report
    for place in ("`main.go:1`", "`web/app.js:1`", "`Dockerfile:1`"):
        assert place in report


async def test_documentation_alone_is_planned_and_not_reviewed(tmp_path):
    done = await reviewed(project(tmp_path, {"guide.md": "# Guide\n"}))
    assert {call.agent for call in done.calls} == {"planner"}
    assert "The planner gave no file to a reviewer" in done.report
    assert "0 of 1 readable files were given to a reviewer" in done.report


async def test_many_files_are_reviewed_in_batches(tmp_path):
    files = {f"pkg/m{number:03}.py": f"def f{number}(a=[]):\n    return a\n" for number in range(60)}
    done = await reviewed(project(tmp_path, files))
    assert "| correctness | 60 | 5 |" in done.report
    assert "| 1 | medium | `pkg/m000.py:1` and 59 more | Calls share one mutable default value |" in done.report


async def test_a_path_that_is_no_directory_is_refused_before_any_call(tmp_path):
    (tmp_path / "a.py").write_text("x")
    with pytest.raises(TargetError, match="is a file"):
        await reviewed(tmp_path / "a.py")


def test_the_team_loads_by_path_from_any_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = load_target(f"{ROOT / 'agents' / 'review.py'}:review")
    assert isinstance(target.value, Workflow)
    assert target.module.emulated_replies is emulated_replies


# The demo reviews this repository's own package; a room of it shows the same in a tenth of the time


REVIEWED = ROOT / "agentcache" / "runtime"


@pytest.fixture(scope="module")
def demo() -> SimpleNamespace:
    return asyncio.run(reviewed(REVIEWED))


def rows_of(report: str) -> list[tuple[str, int, str, str]]:
    """Return file, line, title and reviewer of each row of the table."""
    rows = re.findall(r"^\| \d+ \| \w+ \| `(.+?):(\d+)`[^|]* \| (.+) \| (\w+) \|$", report, re.MULTILINE)
    return [(file, int(line), title, reviewer) for file, line, title, reviewer in rows]


def test_the_demo_fits_about_two_screens(demo):
    assert len(demo.report.splitlines()) <= 120


def test_the_demo_says_once_that_there_are_no_tests_and_where_they_would_pay_most(demo):
    titles = [title for _, _, title, _ in rows_of(demo.report)]
    assert titles.count("The directory holds no tests") == 1
    assert titles.count("No test in sight exercises the functions with most cases") == 1
    assert not any("No test names" in title for title in titles)


def test_the_demo_holds_findings_of_most_reviewers_at_places_that_exist(demo):
    rows = rows_of(demo.report)
    assert len({reviewer for *_, reviewer in rows}) >= 3
    for file, line in re.findall(r"`([\w./]+\.\w+):(\d+)`", demo.report):
        assert 1 <= int(line) <= max(len((REVIEWED / file).read_text(encoding="utf-8").splitlines()), 1)


def test_the_numbers_of_the_demo_can_be_counted_again(demo):
    counted = re.findall(r"`([\w./]+):(\d+)` \(`(\w+)` has (\d+) branch\w* and (\d+) `raise`\)", demo.report)
    assert len(counted) > 3
    for file, line, name, branches, raises in counted:
        lines = (REVIEWED / file).read_text(encoding="utf-8").split("\n")
        assert re.search(rf"\bdef {name}\(", lines[int(line) - 1])
        (found,) = [item for item in definitions(file, lines) if item.line == int(line)]
        assert (found.branches, found.raises) == (int(branches), int(raises))


def test_the_demo_reads_most_of_its_input_from_the_cache_in_a_bounded_number_of_calls(demo):
    usage = [call.usage for call in demo.calls]
    read = sum(item.cache_read_tokens for item in usage)
    whole = sum(item.uncached_input_tokens + item.cache_write_5m_tokens + item.cache_write_1h_tokens for item in usage)
    assert read / (read + whole) > 0.6
    assert len(demo.calls) < 2 * len(SourceTree(REVIEWED).files)


# Sharing the work out


def test_directories_and_files_of_the_plan_become_files_in_listing_order():
    readable = [source_file(path) for path in ("a.py", "src/b.py", "src/c.py", "src2/d.py")]
    assignment = team.Assignment(paths=["src/", "./a.py", "src/b.py"], focus="F")
    assert [file.path for file in team.share("security", assignment, readable).files] == [
        "a.py",
        "src/b.py",
        "src/c.py",
    ]


@pytest.mark.parametrize("everything", [".", "./", ""])
def test_the_whole_project_can_be_assigned(everything):
    readable = [source_file("a.py"), source_file("b/c.py")]
    part = team.share("tests", team.Assignment(paths=[everything], focus=""), readable)
    assert len(part.files) == 2


def test_what_the_plan_invents_is_named_and_not_reviewed():
    part = team.share("tests", team.Assignment(paths=["no/such.py", "/etc/"], focus=""), [source_file("a.py")])
    assert (part.files, part.unknown) == ((), ("no/such.py", "/etc/"))


def test_batches_are_bounded_in_files_and_bytes():
    readable = [source_file(f"f{number:04}.py", size_bytes=40_000) for number in range(7)]
    part = team.share("security", team.Assignment(paths=["./"], focus=""), readable)
    assert [len(batch) for batch in part.batches] == [3, 3, 1]


def test_files_beyond_the_bound_are_counted_not_forgotten():
    readable = [source_file(f"f{number:04}.py") for number in range(1000)]
    part = team.share("security", team.Assignment(paths=["./"], focus=""), readable)
    assert len(part.batches) == team.MAX_BATCHES
    assert len(part.files) + len(part.over) == 1000


@pytest.mark.parametrize("name", ["planner", "reviewer", "editor"])
def test_an_agent_of_each_kind_can_be_shown_without_a_project(name):
    (agent,) = load_agents(f"agents.review:{name}")
    assert agent.renderer.render(Stability.STATIC, {})


# Findings


def test_findings_at_places_that_do_not_exist_are_dropped_and_the_rest_ranked(tmp_path):
    tree = SourceTree(project(tmp_path, {"a.py": "x\ny\n"}))
    findings = [finding("a.py", 2, "low"), finding("a.py", 3), finding("b.py", 1), finding("a.py", 1, "critical")]
    answers: dict[team.Role, list[team.Findings]] = {role: [] for role in team.ROLES}
    answers["security"].append(team.Findings(findings=findings, not_checked=[]))
    kept, dropped = team.grounded(tree, answers)
    assert [(item.file, item.line) for _, item in kept] == [("a.py", 1), ("a.py", 2)]
    assert [(item.file, item.line) for _, item in dropped] == [("a.py", 3), ("b.py", 1)]


def test_the_editor_gets_a_bounded_number_of_findings_and_the_count_of_the_rest():
    findings: list[tuple[team.Role, team.Finding]] = [("security", finding("a.py", line)) for line in range(1, 200)]
    text = team.editor_input("shop", "S", findings, {role: [] for role in team.ROLES})
    assert text.count('"file": "a.py"') == team.MAX_EDITED_FINDINGS
    assert '"left_out_for_length": 79' in text


# The prompts


def agents_of_the_team(tmp_path: Path) -> dict[str, Agent[Any]]:
    tree = SourceTree(tmp_path)
    reviewers = {str(role): team.reviewer(role, tree) for role in team.ROLES}
    return {"planner": team.planner(tree), "editor": team.editor(), **reviewers}


def test_every_role_has_enough_static_text_to_be_cached(tmp_path):
    for role, agent in agents_of_the_team(tmp_path).items():
        sections = agent.renderer.render(Stability.STATIC, {})
        tokens = sum(text_tokens(section.text, facts_for(agent.model)) for section in sections)
        assert tokens > 1500, (role, tokens)


def test_the_declared_model_of_each_prompt_directory_is_the_one_that_is_used(tmp_path):
    for role, agent in agents_of_the_team(tmp_path).items():
        declared = tomllib.loads((team.PROMPTS / role / "agent.toml").read_text(encoding="utf-8"))
        assert declared["model"] == agent.model, role


def test_the_reviewers_begin_with_the_same_text_and_the_same_tools(tmp_path):
    reviewers = [team.reviewer(role, SourceTree(tmp_path)) for role in team.ROLES]
    assert len({agent.renderer.render(Stability.STATIC, {})[0].text for agent in reviewers}) == 1
    assert len({str([item.definition() for item in agent.tools]) for agent in reviewers}) == 1
