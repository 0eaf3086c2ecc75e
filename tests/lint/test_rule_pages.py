from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agentcache.accounting.mistakes import MISTAKES
from agentcache.cli import app
from agentcache.lint.codes import CODES, OWN
from agentcache.lint.outputs.rule_pages import rule_markdown, rule_text, rules_markdown, seen_in
from agentcache.lint.rules import _FAMILIES, RULES
from agentcache.lint.rules.rule import Rule

ROOT = Path(__file__).parents[2]
TRAFFIC_ONLY = {f"PC0{number}" for number in (18, 19, 20, 21, 24, *range(25, 43), *range(43, 48), *range(50, 55))}
"""The codes whose cause stands in no template: another one of the same request before is needed to see them."""


@pytest.fixture
def cli() -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(app, list(words))


def test_every_code_has_one_rule_and_every_rule_a_code() -> None:
    codes = [rule.code for family in _FAMILIES for rule in family]
    assert sorted(codes) == sorted(CODES)
    assert list(RULES) == sorted(CODES)


def test_the_linters_own_codes_are_no_codes_of_traffic() -> None:
    assert MISTAKES.keys() & OWN.keys() == set()
    assert len({mistake.name for mistake in CODES.values()}) == len(CODES)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)
def test_every_rule_has_all_its_parts(rule: Rule) -> None:
    for text in (rule.what, rule.why):
        assert len(text) > 30
        assert text.endswith((".", ")"))
        assert text[0].isupper() or text.startswith("`")
    assert rule.bad.strip()
    assert rule.good.strip()
    assert rule.bad != rule.good
    assert rule.references
    assert all(reference.startswith(("https://", "docs/")) for reference in rule.references)
    assert all((ROOT / reference).is_file() for reference in rule.references if reference.startswith("docs/"))


def test_only_what_traffic_shows_has_no_check() -> None:
    assert {code for code, rule in RULES.items() if rule.check is None} - OWN.keys() <= TRAFFIC_ONLY


def test_the_page_of_all_rules_is_current() -> None:
    """`make docs` writes it."""
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == rules_markdown(tuple(RULES.values()))


@pytest.mark.parametrize("word", ["PC051", "pc051", "concurrent-cold-write"])
def test_a_rule_is_found_by_code_and_by_name(cli: Callable[..., Result], word: str) -> None:
    result = cli("rule", word)
    assert result.exit_code == 0
    assert result.stdout == rule_text(RULES["PC051"])
    assert result.stdout.startswith("PC051 concurrent-cold-write (warning; seen in traffic)\n")


def test_a_rule_as_json_and_markdown(cli: Callable[..., Result]) -> None:
    assert cli("rule", "PC051", "--format", "md").stdout == rule_markdown(RULES["PC051"])
    told = json.loads(cli("rule", "PC051", "--format", "json").stdout)
    assert (told["name"], told["seen_in"], told["fix"]) == (
        "concurrent-cold-write",
        "traffic",
        "send one, await its first token, then send the rest",
    )
    assert all(told[part] for part in ("what", "why", "bad", "good", "references", "severity"))


@pytest.mark.parametrize(
    ("word", "hint"),
    [("PC999", "no rule is called 'PC999'"), ("clock-in-prefx", "did you mean 'clock-in-prefix'"), ("PC9", "PC9")],
)
def test_an_unknown_rule_gives_near_ones(cli: Callable[..., Result], word: str, hint: str) -> None:
    result = cli("rule", word)
    assert result.exit_code == 2
    assert hint in result.stderr


def test_the_list_of_rules(cli: Callable[..., Result]) -> None:
    lines = cli("rules").stdout.splitlines()
    assert len(lines) == len(CODES) + 1
    assert "PC001  clock-in-prefix                   error     templates" in lines
    assert len(json.loads(cli("rules", "--format", "json").stdout)["rules"]) == len(CODES)
    assert cli("rules", "--format", "md").stdout == rules_markdown(tuple(RULES.values()))


def test_comments_to_the_linter_are_seen_in_templates() -> None:
    assert seen_in(RULES["PC100"]) == seen_in(RULES["PC000"]) == "templates"
