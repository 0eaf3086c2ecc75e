"""Keep-alive reads of a replay: which prompts have gone silent, when each would be read again, and whether that pays.

Like a runtime it learns from gaps alone, but it is not told when a run has ended, so it may keep what cannot come
back. It ends with the traffic, as a runtime that is closed would.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from agentcache.prompt.keep_alive import due_after_s, keep_alive_point, weigh_keep_alive
from agentcache.prompt.plans import Breakpoint, Plan
from agentcache.prompt.reuse_history import ReuseHistory
from agentcache.runtime.warm_calls import without_answer
from agentcache.simulate.cases import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAliveRead:
    """A read that a policy makes at `at_s`: the request of `case`, with the breakpoints of `plan` and no answer."""

    case: Case
    plan: Plan
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Silence:
    case: Case
    plan: Plan
    point: Breakpoint


@dataclass(slots=True)
class SilentPrompts:
    """The prompts whose next call has not come yet, by when the next read of each is due."""

    history: ReuseHistory
    _silences: dict[object, _Silence] = field(default_factory=dict)
    _due: list[tuple[float, int, object, _Silence]] = field(default_factory=list)
    _added: int = 0

    def call_sent(self, case: Case, plan: Plan) -> None:
        """Begin to watch the silence behind a call; the one before it has ended."""
        conversation = self.history.conversation_of(case.layout, agent=case.call.agent)
        if conversation is None:
            return
        self._silences.pop(conversation, None)
        point = keep_alive_point(plan)
        if point is not None and without_answer(case.bare) is not None:
            silence = self._silences[conversation] = _Silence(case=case, plan=plan, point=point)
            self._add(case.call.at_s, conversation, silence)

    def reads_before(self, at_s: float) -> Iterator[KeepAliveRead]:
        """Yield the reads that pay before `at_s`, in the order of time."""
        while self._due and self._due[0][0] < at_s:
            due_s, _, conversation, silence = heappop(self._due)
            if self._silences.get(conversation) is not silence:
                continue
            if not self._pays(silence, due_s):
                del self._silences[conversation]
                continue
            marks = [(point.prefix_digest, point.ttl) for point in silence.plan.kept]
            self.history.read_or_written(marks, at_s=due_s)
            self._add(due_s, conversation, silence)
            yield KeepAliveRead(case=silence.case, plan=silence.plan, at_s=due_s)

    def _add(self, used_s: float, conversation: object, silence: _Silence) -> None:
        # The count keeps equal times in order and the rest of the entry from being compared.
        self._added += 1
        heappush(self._due, (used_s + due_after_s(silence.point), self._added, conversation, silence))

    def _pays(self, silence: _Silence, now_s: float) -> bool:
        call, layout = silence.case.call, silence.case.layout
        silent_s = now_s - call.at_s
        chances = self.history.return_chances(layout, agent=call.agent, at_s=now_s, silent_s=silent_s)
        known = self.history.now_known(layout, agent=call.agent, at_s=now_s)
        return weigh_keep_alive(layout, silence.point, silence.case.facts, known, chances=chances).reads > 0
