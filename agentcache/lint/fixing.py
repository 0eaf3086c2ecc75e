"""Applies fixes: which edits go together, in how many rounds, and what a difference looks like. Writes no file.

Knows no rules: the fixes stand in the findings (fixes/ builds them). A round applies what does not overlap; the rest
waits for the next, since every edit counts characters of the text that was linted. A fix that does not hold (its
finding is still there, another one appears, the prompt loses words that a safe fix keeps) is taken back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import TypeAlias

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.finding import Edit, Finding, Fix
from agentcache.lint.rewriting import rewritten, texts_of

Linter: TypeAlias = Callable[[Sequence[AgentSources]], Sequence[Finding]]
"""Finds what `mended` is to mend, the selection of rules and the author's ignores applied."""

Words: TypeAlias = Callable[[AgentSources], Mapping[str, int] | None]
"""How often each word stands in an agent's rendered prompt; `None` where it cannot be rendered."""

MOST_ROUNDS = 100
"""Rounds after which `mended` stops, whatever is left; each mends a finding or learns of a fix that does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What fixing came to.

    texts: path -> new text, of the files that change or are new. fixed: findings that are gone, as they were found.
    remaining: what is still found in the new texts, with its places there.
    """

    texts: Mapping[str, str]
    fixed: tuple[Finding, ...]
    remaining: tuple[Finding, ...]


def fixed(text_by_path: Mapping[str, str], findings: Iterable[Finding], *, unsafe: bool = False) -> dict[str, str]:
    """Return the texts with the fixes of `findings` applied once, each fix whole or not at all.

    Of two fixes that overlap the first is kept; two that insert at the very end of a text both stand, in order. A path
    without a text is a file that the fix creates. unsafe: also fixes after which the prompt says less or other words.
    """
    return _applied(text_by_path, _chosen(text_by_path, findings, unsafe=unsafe))


def mended(agents: Sequence[AgentSources], lint: Linter, words: Words, *, unsafe: bool = False) -> Mended:
    """Lint and fix in turn until nothing is left to fix; what does not hold is left as it was.

    Mending what is mended changes nothing. `words` proves that a safe fix keeps every word, order apart.
    """
    state = _State(tuple(agents), tuple(lint(agents)))
    before = texts_of(agents)
    done: list[Finding] = []
    refused: set[tuple[str, ...]] = set()
    for _ in range(MOST_ROUNDS):
        open_findings = [finding for finding in state.findings if _key(finding) not in refused]
        texts = texts_of(state.agents)
        # Safe ones first and alone, so that their words are compared.
        chosen = _chosen(texts, open_findings, unsafe=False) or _chosen(texts, open_findings, unsafe=unsafe)
        if not chosen:
            break
        held, after = _held(state, chosen, refused, lint, words)
        if after is not None:
            done += held
            state = after
    after_texts = texts_of(state.agents)
    changed = {path: text for path, text in after_texts.items() if before.get(path) != text}
    return Mended(texts=changed, fixed=tuple(done), remaining=state.findings)


def diff(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return a unified difference that `git apply` and `patch -p1` understand; a path without a text before is new."""
    return "".join(_diff_of(path, before.get(path), after[path]) for path in sorted(after))


@dataclass(frozen=True, slots=True)
class _State:
    agents: tuple[AgentSources, ...]
    findings: tuple[Finding, ...]


def _held(
    state: _State, chosen: list[Finding], refused: set[tuple[str, ...]], lint: Linter, words: Words
) -> tuple[list[Finding], _State | None]:
    """Return the fixes that hold together and what they lead to: all, else those of a half; one that fails is refused.

    Halving finds one bad fix among many in a few looks; the other half waits for the next round.
    """
    after = _tried(state, chosen, lint, words)
    if after is not None:
        return chosen, after
    if len(chosen) == 1:
        refused.add(_key(chosen[0]))
        return [], None
    middle = len(chosen) // 2
    for half in (chosen[:middle], chosen[middle:]):
        held, after = _held(state, half, refused, lint, words)
        if after is not None:
            return held, after
    return [], None


def _tried(state: _State, chosen: list[Finding], lint: Linter, words: Words) -> _State | None:
    """Return what the fixes lead to, or `None` when they do not hold."""
    texts = texts_of(state.agents)
    agents = tuple(rewritten(agent, _applied(texts, chosen)) for agent in state.agents)
    after = _State(agents, tuple(lint(agents)))
    codes_before = Counter(finding.code for finding in state.findings)
    codes_after = Counter(finding.code for finding in after.findings)
    gone = Counter(finding.code for finding in chosen)
    if any(codes_after[code] > codes_before[code] - gone[code] for code in codes_before | codes_after):
        return None
    if all(fix.safe for fix in _fixes(chosen)) and not _same_words(state.agents, agents, words):
        return None
    return after


def _same_words(before: Sequence[AgentSources], after: Sequence[AgentSources], words: Words) -> bool:
    for old, new in zip(before, after, strict=True):
        if old is new:
            continue
        count = words(old)
        if count is not None and words(new) != count:
            return False
    return True


def _key(finding: Finding) -> tuple[str, ...]:
    """Return what tells a finding from others when lines have moved."""
    return finding.code, finding.place.path, finding.message


def _chosen(texts: Mapping[str, str], findings: Iterable[Finding], *, unsafe: bool) -> list[Finding]:
    """Return the findings whose fixes can be applied together."""
    chosen: list[Finding] = []
    taken: set[Edit] = set()
    for finding in findings:
        fix = finding.edits
        if fix is None or not (fix.safe or unsafe) or not fix.edits:
            continue
        if taken.issuperset(fix.edits):
            chosen.append(finding)  # another finding has the same cause, and the same edits mend both
        elif not any(_overlap(edit, other, texts) for edit in fix.edits for other in taken):
            chosen.append(finding)
            taken.update(fix.edits)
    return chosen


def _overlap(edit: Edit, other: Edit, texts: Mapping[str, str]) -> bool:
    if edit.path != other.path:
        return False
    text = texts.get(edit.path)
    if text is None:
        return True  # both create the file
    if edit.start == edit.end == other.start == other.end == len(text) and edit != other:
        return False
    return edit.start <= other.end and other.start <= edit.end


def _applied(texts: Mapping[str, str], chosen: Iterable[Finding]) -> dict[str, str]:
    by_path: dict[str, list[Edit]] = {}
    for edit in dict.fromkeys(edit for fix in _fixes(chosen) for edit in fix.edits):
        by_path.setdefault(edit.path, []).append(edit)
    return {**texts, **{path: _edited(texts.get(path, ""), edits) for path, edits in by_path.items()}}


def _fixes(chosen: Iterable[Finding]) -> Iterator[Fix]:
    return (finding.edits for finding in chosen if finding.edits is not None)


def _edited(text: str, edits: list[Edit]) -> str:
    parts: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


def _diff_of(path: str, before: str | None, after: str) -> str:
    old = "/dev/null" if before is None else f"a/{path.lstrip('/')}"
    lines = unified_diff(_lines(before or ""), _lines(after), old, f"b/{path.lstrip('/')}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    """Split at line feeds only, as `diff` does; a carriage return belongs to its line."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]
