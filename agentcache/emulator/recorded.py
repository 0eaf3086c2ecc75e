"""Replies from a recording: the emulator plays the model's turns, whichever client asks.

It decides which of the turns that answer a request is played, and when a call or a turn is one too many. Which turns
answer a request, the recording knows: `trace_recording` for traces, `recording` for request logs. Recordings come in
as JSON objects; reading files is no business of this module.
"""

from __future__ import annotations

from collections.abc import Iterable

from agentcache.emulator.json_values import JsonObject
from agentcache.emulator.recording import Found, LogRecording, RecordedTurn, Recording
from agentcache.emulator.replies import EchoReplies, ScriptedReply
from agentcache.emulator.trace_recording import TraceRecording
from agentcache.errors import EmulatorError, UnexpectedCall, UnusedReply


class RecordedReplies:
    """Answers with the turns of a `recording`, each played once; the same prompt gets the same answer again.

    A prompt that was recorded more than once gets its answers in recorded order, and then the last one again.

    strict: a call that no turn answers, and a turn that no call asked for, are errors. Without it such a call is
    answered by an echo, and turns may be left over.
    """

    def __init__(self, recording: Recording, *, strict: bool = True) -> None:
        """Play `recording`; raises `EmulatorError` when it has no turn at all."""
        if not recording.turns:
            raise EmulatorError("the recording holds no answered call; record one, or answer with a script")
        self._recording = recording
        self._strict = strict
        self._played: set[int] = set()
        """Identities of turns: two recordings may give theirs the same names."""
        self._given: dict[bytes, RecordedTurn] = {}
        self._asked = 0

    @classmethod
    def from_traces(cls, traces: Iterable[JsonObject], *, strict: bool = True) -> RecordedReplies:
        """Play the assistant's turns of one or more traces; raises `EmulatorError` for one that is not sound."""
        return cls(TraceRecording(traces), strict=strict)

    @classmethod
    def from_log(cls, lines: Iterable[JsonObject], *, strict: bool = True) -> RecordedReplies:
        """Play the responses of the `lines` of a request log; raises `EmulatorError` for a line that is no call."""
        return cls(LogRecording(lines), strict=strict)

    async def reply(self, request: JsonObject) -> ScriptedReply:
        """Return the recorded answer to `request`; when strict, raises `UnexpectedCall` where there is none."""
        self._asked += 1
        found = self._recording.find(request)
        turn = self._choose(found)
        if turn is not None:
            self._played.add(id(turn))
            self._given[found.prompt] = turn
            return turn.reply()
        if not self._strict:
            return await EchoReplies().reply(request)
        reason = found.reason or f"{found.turns[0].name} answers it, and was given to another prompt already"
        raise UnexpectedCall(f"call {self._asked} is not in the recording: {reason}")

    def finish(self) -> None:
        """When strict, raise `UnusedReply` if turns were never asked for."""
        unused = [turn for turn in self._recording.turns if id(turn) not in self._played]
        if unused and self._strict:
            raise UnusedReply(
                f"{len(unused)} of {len(self._recording.turns)} recorded turns were never asked for, the first is "
                f"{unused[0].name}; ask for them, or pass strict=False"
            )

    def _choose(self, found: Found) -> RecordedTurn | None:
        """Return the first turn that is left, else what this very prompt was answered before."""
        left = [turn for turn in found.turns if id(turn) not in self._played]
        if left:
            return left[0]
        if found.turns and not self._strict:
            return found.turns[-1]
        return self._given.get(found.prompt)
