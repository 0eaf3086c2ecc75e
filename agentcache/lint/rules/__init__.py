"""The rules, a file for each family; each offers `RULES`, a tuple, which stands in the list here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from agentcache.lint.rules import (
    comments,
    economics,
    layers,
    layout,
    literal_text,
    markers,
    messages,
    requests,
    tools,
    unstable_text,
    volatile_values,
)
from agentcache.lint.rules.rule import Rule

_FAMILIES: tuple[tuple[Rule, ...], ...] = (
    volatile_values.RULES,
    unstable_text.RULES,
    layers.RULES,
    messages.RULES,
    requests.RULES,
    economics.RULES,
    comments.RULES,
    literal_text.RULES,
    tools.RULES,
    markers.RULES,
    layout.RULES,
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {rule.code: rule for rule in sorted((rule for family in _FAMILIES for rule in family), key=lambda rule: rule.code)}
)
"""Every rule by its code."""
