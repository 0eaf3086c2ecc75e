"""The linter as an assertion: agents and prompt directories, a message that says all, permissions with reasons."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentcache import Agent, Prompt, SettingsError, TargetError
from agentcache.testing import assert_no_findings, lint_agents, lint_prompt_directory

pytest_plugins = ["pytester"]

RULES = "Answer briefly and say where you looked.\n" * 200
STEP = """\
You are on the phone.
This is step {{ step_number }}.
"""


def clerk(session: str = "You speak to {{ who }}.") -> Agent[str]:
    return Agent(name="clerk", model="claude-sonnet-5-5", prompt=Prompt(static=RULES, session=session))


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """A prompt directory with a clock on line 2 of its static layer."""
    folder = tmp_path / "prompts" / "desk"
    folder.mkdir(parents=True)
    (folder / "static.j2").write_text("Rules.\nIt is {{ now() }}.\n" + RULES)
    (folder / "agent.toml").write_text('model = "claude-sonnet-5-5"\n[environment]\nglobals = ["now"]\n')
    return folder


def test_a_directory_is_linted_and_so_is_what_is_below_one(prompts: Path):
    for path in (prompts, prompts.parent, str(prompts)):
        (found,) = lint_prompt_directory(path)
        assert (found.code, found.place.path, found.place.line) == ("PC001", str(prompts / "static.j2"), 2)


def test_agents_are_linted_together():
    assert lint_agents(clerk(), clerk()) == ()
    assert [found.code for found in lint_agents(clerk(), clerk(STEP))] == ["PC057"]


def test_nothing_found_is_no_failure(prompts: Path):
    (prompts / "static.j2").write_text(RULES)
    assert_no_findings(clerk(), prompts)


def test_a_failure_says_what_where_why_and_what_to_do(prompts: Path):
    with pytest.raises(AssertionError) as raised:
        assert_no_findings(clerk(STEP), prompts)
    message = str(raised.value)
    line = Path(__file__).read_text(encoding="utf-8").split("\n").index("This is step {{ step_number }}.") + 1
    assert message.startswith("the linter finds 2 mistakes:\n")
    assert f"test_prompt_lint.py:{line}: PC057 volatile-in-session-layer (error)\n" in message
    assert "    > This is step {{ step_number }}.\n    fix: " in message
    assert f"{prompts / 'static.j2'}:2: PC001 clock-in-prefix (error)\n" in message
    assert "    > It is {{ now() }}.\n    fix: " in message


def test_the_failure_points_at_the_test_and_not_at_the_assertion(pytester: pytest.Pytester, prompts: Path):
    pytester.makepyfile(
        f"from agentcache.testing import assert_no_findings\ndef test(): assert_no_findings({str(prompts)!r})"
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    assert "prompt_lint.py" not in result.stdout.str()
    result.stdout.fnmatch_lines(["E * the linter finds a mistake:", "E *static.j2:2: PC001 clock-in-prefix (error)"])


def test_a_finding_may_be_allowed_with_a_reason(prompts: Path):
    assert_no_findings(prompts, allowed={"PC001": "one call a day"})
    with pytest.raises(SettingsError, match="needs a reason"):
        assert_no_findings(prompts, allowed={"PC001": " "})
    with pytest.raises(SettingsError, match="names no rule"):
        assert_no_findings(prompts, allowed={"PC999": "it is late"})


def test_a_permission_that_nothing_needs_is_a_failure(prompts: Path):
    with pytest.raises(AssertionError, match="allowed\\['PC010'\\] is not needed"):
        assert_no_findings(prompts, allowed={"PC001": "one call a day", "PC010": "we test two variants"})


def test_a_comment_in_a_template_ignores_a_finding(prompts: Path):
    (prompts / "static.j2").write_text("It is {{ now() }}.{# agentcache: ignore PC001 one call a day #}\n" + RULES)
    assert_no_findings(prompts)


def test_a_directory_without_prompts_is_no_clean_one(tmp_path: Path):
    with pytest.raises(TargetError, match="there is no prompt directory in"):
        assert_no_findings(tmp_path)


def test_the_example_of_the_page_runs(pytester: pytest.Pytester):
    docs = Path(__file__).parents[2] / "docs"
    for page, name in (("testing.md", "support.py"), ("strict.md", "test_prompts.py")):
        blocks = (docs / page).read_text(encoding="utf-8").split("```python\n")
        (pytester.path / name).write_text(next(each for each in blocks if each.startswith(f"# {name}")).split("```")[0])
    # Without a scope of loops, some versions of the plugin for asyncio warn.
    options = (
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
    )
    pytester.runpytest_inprocess(*options).assert_outcomes(passed=2)
