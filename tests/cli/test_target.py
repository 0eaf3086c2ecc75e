"""How `module:name` and `file.py:name` become objects, and what is said when they cannot."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from agentcache import Agent, Workflow
from agentcache.cli.target import load_replies, load_target
from agentcache.errors import TargetError

AGENT = """
from agentcache import Agent, Prompt

support = Agent(name="support", model="claude-sonnet-5-5", prompt=Prompt(static="Be kind."))
number = 17
def helper(run): ...
"""


def _write(path: str, text: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file.resolve()


def _agent(text: str) -> str:
    agent = load_target(text).value
    assert isinstance(agent, Agent)
    return agent.name


def test_a_file_target_gives_the_agent_and_its_module() -> None:
    _write("care.py", AGENT)

    target = load_target("care.py:support")

    assert isinstance(target.value, Agent)
    assert target.value.name == "support"
    assert vars(target.module)["number"] == 17


def test_a_workflow_is_a_target_too() -> None:
    _write("flow.py", "from agentcache import workflow\n@workflow\nasync def review(run): return 1\n")

    assert isinstance(load_target("flow.py:review").value, Workflow)


def test_a_module_target_is_found_in_the_working_directory() -> None:
    _write("teams/care.py", AGENT)

    assert _agent("teams.care:support") == "support"


def test_a_file_in_a_package_may_import_its_siblings_by_their_full_name() -> None:
    _write("crew/__init__.py", "")
    _write("crew/words.py", "GREETING = 'Be kind.'")
    _write("crew/care.py", AGENT + "from crew.words import GREETING\nfrom .words import GREETING as same\n")

    assert load_target("crew/care.py:support").module.__name__ == "crew.care"


def test_a_file_in_a_package_can_be_run_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    _write("repo/crew/__init__.py", "")
    _write("repo/crew/words.py", "GREETING = 'Be kind.'")
    target = _write("repo/crew/care.py", AGENT + "from crew.words import GREETING\n")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")

    assert _agent(f"{target}:support") == "support"


def test_a_script_may_import_what_lies_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _write("scripts/01_beside.py", AGENT + "import neighbour\n")
    _write("scripts/neighbour.py", "")

    assert _agent("scripts/01_beside.py:support") == "support"


def test_a_script_named_like_a_loaded_module_is_still_the_script() -> None:
    _write("json.py", AGENT)

    assert _agent("json.py:support") == "support"
    assert hasattr(sys.modules["json"], "dumps")


def test_two_packages_of_one_name_are_not_mixed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("here", "there"):
        _write(f"{place}/crew/__init__.py", "")
        _write(f"{place}/crew/care.py", AGENT)
    load_target("here/crew/care.py:support")

    with pytest.raises(
        TargetError, match=r"is in package 'crew', but .*here/crew/__init__\.py is imported under that name"
    ):
        load_target("there/crew/care.py:support")


@pytest.mark.parametrize("target", ["support", "care.py", ":support", "care.py:", "care.py:two words"])
def test_a_target_has_a_source_and_a_name(target: str) -> None:
    with pytest.raises(
        TargetError, match=re.escape(f"target {target!r} is not of the form module:name or file.py:name")
    ):
        load_target(target)


def test_a_missing_file_names_the_one_that_was_meant() -> None:
    _write("care.py", AGENT)

    with pytest.raises(TargetError, match=r"there is no file 'kare\.py'; did you mean care\.py\?"):
        load_target("kare.py:support")


def test_a_missing_module_is_told_from_a_missing_import() -> None:
    _write("broken.py", "import not_installed_at_all\n")

    with pytest.raises(TargetError, match="there is no module 'nowhere'"):
        load_target("nowhere:support")
    with pytest.raises(TargetError, match=r"broken\.py, line 1 cannot be imported: ModuleNotFoundError"):
        load_target("broken:support")


def test_a_missing_name_gives_close_ones() -> None:
    _write("care.py", AGENT)

    with pytest.raises(TargetError, match=r"care\.py has no 'suport'; did you mean 'support'\?"):
        load_target("care.py:suport")


def test_a_name_like_nothing_gives_what_there_is() -> None:
    _write("care.py", AGENT)

    with pytest.raises(TargetError, match="has no 'xyz'; it defines support"):
        load_target("care.py:xyz")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("x = 1\nraise ValueError('no luck')\n", r"care\.py, line 2 cannot be imported: ValueError: no luck"),
        ("x = 1\ndef broken(:\n", r"care\.py, line 2 cannot be imported: SyntaxError"),
        (
            "import asyncio\nasync def main(): raise ValueError('no luck')\nasyncio.run(main())\n",
            r"care\.py, line 2 cannot be imported: ValueError: no luck; importing it starts its program, .*__main__",
        ),
        ("import sys\nsys.exit(3)\n", r"care\.py, line 2 cannot be imported: SystemExit: 3"),
        (
            "from agentcache import Agent, Prompt\na = Agent(name='x y', model='m', prompt=Prompt(static='s'))\n",
            r"care\.py, line 2 cannot be imported: agent name 'x y'",
        ),
    ],
)
def test_an_import_that_fails_says_where(body: str, sentence: str) -> None:
    _write("care.py", body)

    with pytest.raises(TargetError, match=sentence):
        load_target("care.py:support")


def test_a_failed_import_can_be_tried_again_after_mending() -> None:
    _write("care.py", "raise ValueError('no luck')\n")
    with pytest.raises(TargetError):
        load_target("care.py:support")
    _write("care.py", AGENT + "# mended\n")

    assert _agent("care.py:support") == "support"


def test_replies_are_a_function_or_a_list() -> None:
    _write("replies.py", "def calm(request): return 'ok'\nlisted = ['a', 'b']\nnumber = 1\n")

    assert callable(load_replies("replies.py:calm"))
    assert load_replies("replies.py:listed") == ["a", "b"]
    with pytest.raises(TargetError, match="is of type int, not a reply function or a list of replies"):
        load_replies("replies.py:number")
