"""`agentcache rule CODE` and `agentcache rules`: what the linter looks for, and why."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from agentcache.cli.saying import show
from agentcache.errors import TargetError
from agentcache.lint.codes import CODE_BY_NAME
from agentcache.lint.outputs.rule_pages import rule_json, rule_markdown, rule_text, rules_markdown, rules_text
from agentcache.lint.rules import RULES
from agentcache.lint.rules.rule import Rule
from agentcache.lint.selection import near_misses


class RuleFormat(StrEnum):
    """How to print rules."""

    TEXT = "text"
    JSON = "json"
    MD = "md"


Format = Annotated[RuleFormat, typer.Option("--format", help="How to print.")]


def rule(
    code: Annotated[str, typer.Argument(metavar="CODE", help="A code or a name: PC001, clock-in-prefix.")],
    format_: Format = RuleFormat.TEXT,
) -> None:
    """Explain one rule of the linter: what, why, a bad and a good example."""
    found = _rule_called(code)
    if format_ is RuleFormat.JSON:
        show(f"{json.dumps(rule_json(found), indent=2)}\n")
    else:
        show(rule_text(found) if format_ is RuleFormat.TEXT else rule_markdown(found))


def rules(format_: Format = RuleFormat.TEXT) -> None:
    """List the rules of the linter."""
    every = tuple(RULES.values())
    if format_ is RuleFormat.JSON:
        show(f"{json.dumps({'rules': [rule_json(item) for item in every]}, indent=2)}\n")
    else:
        show(rules_text(every) if format_ is RuleFormat.TEXT else rules_markdown(every))


def _rule_called(word: str) -> Rule:
    code = word.upper() if word.upper() in RULES else CODE_BY_NAME.get(word.lower())
    if code is None or code not in RULES:
        raise TargetError(f"no rule is called {word!r}; {near_misses(word)}")
    return RULES[code]
