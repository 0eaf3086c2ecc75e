"""Voting: the same question several times, and the answer that most of them gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from agentcache.errors import DeclarationError
from agentcache.prompt.canonical import canonical_json
from agentcache.prompt.plain_values import plain_value
from agentcache.runtime.agent import Agent, Variables
from agentcache.runtime.agent_run import Input
from agentcache.runtime.limits import Limits
from agentcache.workflow.run import Run

T = TypeVar("T")

Tie: TypeAlias = Literal["first", "none"]
"""Who wins a tie: the answer that came first in the order of the samples, or nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote(Generic[T]):
    """What a vote came to.

    `answers` are all, in the order of the samples. `winner` is `None` for a tie that was to have none; `counts`,
    largest first, as in votes.
    """

    winner: T | None
    answers: tuple[T, ...]
    counts: tuple[int, ...]

    @property
    def tied(self) -> bool:
        """Whether several answers have the most votes."""
        return len(self.counts) > 1 and self.counts[0] == self.counts[1]

    @property
    def share(self) -> float:
        """The share of answers that agree with the most frequent one."""
        return self.counts[0] / len(self.answers)


async def vote(
    run: Run,
    agent: Agent[T],
    input: Input,  # noqa: A002  # the word of the public surface
    *,
    samples: int,
    same: Callable[[T], Hashable] | None = None,
    tie: Tie = "first",
    concurrency: int | None = None,
    session: Variables | None = None,
    turn: Variables | None = None,
    limits: Limits | None = None,
) -> Vote[T]:
    """Ask `agent` the same question `samples` times and return the majority.

    run, input, session, turn, concurrency, limits: as for `run.map`; the limits are those of each sample.

    same: what makes two answers one vote, e.g. `str.casefold`; by default their canonical JSON. tie: between the most
    frequent answers the one that stands first in the order of the samples wins, or none.

    The samples send the same bytes: one writes the shared prefix to the cache, the others read it. Costs `samples`
    answers. Raises `DeclarationError` for fewer than two samples.
    """
    if samples < 2:
        raise DeclarationError(f"vote of agent {agent.name!r}: {samples} samples make no majority; take two or more")
    answers = await run.map(
        agent, [input] * samples, concurrency=concurrency, session=session, turn=turn, limits=limits
    )
    return majority(answers, same=same, tie=tie)


def majority(answers: Sequence[T], *, same: Callable[[T], Hashable] | None = None, tie: Tie = "first") -> Vote[T]:
    """Return what these answers come to; `same` and `tie` as in `vote`. Raises `DeclarationError` for no answers."""
    if not answers:
        raise DeclarationError("majority: there are no answers to count; give at least one")
    keys = [_form(answer) if same is None else same(answer) for answer in answers]
    ranked = Counter(keys).most_common()  # equal counts stay in the order of the answers
    counts = tuple(count for _, count in ranked)
    undecided = tie == "none" and len(counts) > 1 and counts[0] == counts[1]
    winner = None if undecided else answers[keys.index(ranked[0][0])]
    return Vote(winner=winner, answers=tuple(answers), counts=counts)


def _form(answer: object) -> Hashable:
    return canonical_json(plain_value(answer))
