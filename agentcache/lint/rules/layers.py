"""Rules about values that flow into the text."""

from __future__ import annotations

from agentcache.lint.rules.rule import Rule

RULES: tuple[Rule, ...] = ()
