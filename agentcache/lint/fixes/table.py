"""Which mistake is mended by which edits. A mistake that is not here needs a person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeAlias

from agentcache.lint.examination import Examination
from agentcache.lint.finding import Finding, Fix
from agentcache.lint.fixes.deleting import drop_copy, drop_line
from agentcache.lint.fixes.locales import fix_locale
from agentcache.lint.fixes.moving import move_paragraph
from agentcache.lint.fixes.ordering import sort_dictionary, sort_set
from agentcache.lint.fixes.raising import raise_stable
from agentcache.lint.fixes.text_form import normal_form

Fixer: TypeAlias = Callable[[Finding, Examination], Fix | None]
"""Builds the edits that mend a finding; `None` where a person must decide."""

_MOVED = (
    *("PC001", "PC002", "PC003", "PC004", "PC005", "PC006", "PC007", "PC008", "PC009", "PC010", "PC011", "PC017"),
    *("PC057", "PC060"),
)

FIXES: Mapping[str, Fixer] = MappingProxyType(
    {
        **dict.fromkeys(_MOVED, move_paragraph),
        "PC012": sort_set,
        "PC013": sort_dictionary,
        "PC014": normal_form,
        "PC015": fix_locale,
        "PC055": raise_stable,
        "PC056": drop_copy,
        "PC059": drop_line,
    }
)


def with_fixes(
    findings: Iterable[Finding], examination: Examination, fixes: Mapping[str, Fixer] = FIXES
) -> Iterator[Finding]:
    """Yield the findings of one agent, each with the edits that mend it where there are some."""
    for finding in findings:
        fixer = fixes.get(finding.code)
        fix = None if fixer is None or finding.edits is not None else fixer(finding, examination)
        yield finding if fix is None else replace(finding, edits=fix)
