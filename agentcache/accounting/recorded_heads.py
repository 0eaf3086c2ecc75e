"""What sessions that know nothing of each other tell by finding the same lengths: heads, and whether thinking is on.

A head is what tools and system are rendered to, with the settings that are rendered ahead of them. Sessions share no
more than that, so a length that several of them begin with, or fall back to, is one.

Models that choose themselves whether to think show by no single answer whether thinking is off. Where the setting is
rendered into the head, many answers behind one head do: when none of them thinks, and so many would hardly all be
silent by chance, it is off there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agentcache.accounting.recorded_lines import Step
from agentcache.prompt.model_facts import facts_for

_BY_CHANCE = 1e-6
"""How likely it may be that all answers behind a head are silent though thinking is on, for it to be called off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Heads of one model, by their lengths in tokens.

    without_thinking, with_thinking: those behind which thinking is off, and those behind which an answer thinks. Most
    are in neither: too few answers tell.
    """

    lengths: frozenset[int] = frozenset()
    without_thinking: frozenset[int] = frozenset()
    with_thinking: frozenset[int] = frozenset()

    def differ_in_thinking(self, one: int | None, other: int | None) -> bool:
        """Tell whether thinking is on behind one of two heads and off behind the other."""
        pair = (one in self.without_thinking, other in self.without_thinking)
        return (pair[0] and other in self.with_thinking) or (pair[1] and one in self.with_thinking)


NO_HEADS = Heads()


@dataclass(slots=True)
class _Answers:
    """Answers behind one head, or of one model: how many, and how many of them think."""

    total: int = 0
    thinking: int = 0

    def count(self, thinks: bool) -> None:
        self.total += 1
        self.thinking += thinks


@dataclass(slots=True)
class _Told:
    """What the answers of one model tell."""

    all: _Answers = field(default_factory=_Answers)
    behind: dict[int, _Answers] = field(default_factory=dict)


def heads_of(steps: Sequence[Step]) -> dict[str, Heads]:
    """Return the heads of each model; a model without any is left out."""
    lengths = _lengths(steps)
    found = {model: Heads(lengths=each) for model, each in lengths.items()}
    told: dict[str, _Told] = {}
    behind = heads_behind(steps, found)
    for step in steps:
        if step.seen is None:
            continue
        of = told.setdefault(step.call.model, _Told())
        of.all.count(step.seen.thinks)
        if (head := behind[id(step)]) is not None:
            of.behind.setdefault(head, _Answers()).count(step.seen.thinks)
    return {model: _heads(model, each, told.get(model, _Told())) for model, each in lengths.items()}


def heads_behind(steps: Iterable[Step], heads: Mapping[str, Heads]) -> dict[int, int | None]:
    """Return, by the identity of each step, the head that its prompt begins with; `None` where no read told.

    steps: with those that each carries on.
    """
    found: dict[int, int | None] = {}
    for step in steps:
        line = [step]
        while id(line[-1]) not in found and line[-1].before is not None:
            line.append(line[-1].before)
        for each in reversed(line):
            if id(each) not in found:
                found[id(each)] = _head_behind(each, heads.get(each.call.model, NO_HEADS), found)
    return found


def _head_behind(step: Step, heads: Heads, found: Mapping[int, int | None]) -> int | None:
    if step.read in heads.lengths and (step.before is None or step.read < step.before.left):
        return step.read
    carried_on = step.returned_to or step.before
    if carried_on is None or carried_on.call.model != step.call.model or step.read < carried_on.left:
        return None
    return found[id(carried_on)]


def _lengths(steps: Iterable[Step]) -> dict[str, frozenset[int]]:
    """Return, by model, the lengths where unrelated sessions both began, or fell back to."""
    found: dict[tuple[str, int], set[str]] = {}
    for step in steps:
        if step.read and (step.before is None or step.read < step.before.left):
            found.setdefault((step.call.model, step.read), set()).add(step.family)
    heads: dict[str, set[int]] = {}
    for (model, length), families in found.items():
        if len(families) > 1:
            heads.setdefault(model, set()).add(length)
    return {model: frozenset(lengths) for model, lengths in heads.items()}


def _heads(model: str, lengths: frozenset[int], told: _Told) -> Heads:
    facts = facts_for(model)
    if not facts.adaptive_thinking or facts.thinking_always_on or not told.all.total:
        return Heads(lengths=lengths)
    silent_share = 1 - told.all.thinking / told.all.total
    return Heads(
        lengths=lengths,
        without_thinking=frozenset(
            length
            for length, answers in told.behind.items()
            if not answers.thinking and silent_share**answers.total < _BY_CHANCE
        ),
        with_thinking=frozenset(length for length, answers in told.behind.items() if answers.thinking),
    )
