"""Which mistake is mended by which edits. A mistake that is not here needs a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from agentcache.lint.fixes.tool_order import sort_keys, sort_tools, sort_values
from agentcache.lint.rewriting import texts_of

Fixer: TypeAlias = Callable[[Finding, Examination], Fix | None]
"""Builds the edits that mend a finding; `None` where a person must decide."""

TeamFixer: TypeAlias = Callable[[Finding, Sequence[Examination]], Fix | None]
"""The same for what several agents are looked at for together."""

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


TEAM_FIXES: Mapping[str, TeamFixer] = MappingProxyType(
    {
        "PC019": sort_tools,
        "PC021": sort_keys,
        "PC020": sort_values,
        "PC023": sort_values,
    }
)


MOST_IN_A_FILE = 200
"""Findings of one file for which edits are looked for; the others have their turn once these are mended."""


def with_fixes(findings: Iterable[Finding], examinations: Sequence[Examination]) -> Iterator[Finding]:
    """Yield the findings, each with the edits that mend it where there are some and it has none yet."""
    by_agent: dict[str, list[Examination]] = {}
    for examination in examinations:
        by_agent.setdefault(examination.sources.agent, []).append(examination)
    tried = Counter[str]()
    for finding in findings:
        fix = finding.edits
        if fix is None and tried[finding.place.path] < MOST_IN_A_FILE:
            owners = examinations if finding.agent is None else by_agent.get(finding.agent, [])
            fix = _fix(finding, owners, examinations)
            tried[finding.place.path] += 1
        yield finding if fix is None else replace(finding, edits=fix)


def _fix(finding: Finding, owners: Sequence[Examination], examinations: Sequence[Examination]) -> Fix | None:
    if finding.code in TEAM_FIXES:
        return TEAM_FIXES[finding.code](finding, examinations)
    if finding.code not in FIXES:
        return None
    built = (FIXES[finding.code](finding, each) for each in owners if finding.place.path in texts_of([each.sources]))
    return next((fix for fix in built if fix is not None), None)
