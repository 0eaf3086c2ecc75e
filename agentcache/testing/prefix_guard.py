"""The prefix guard: from call to call a prompt may grow, and nothing that was sent before may change.

It decides which requests belong together, which block moved first, and whether that was allowed. Requests that name
their agent and conversation (a request log, the ledger) are compared with the ones before them under the same names.
Bodies alone, as an emulator keeps them, are put into conversations by what they share: a request continues the one
whose answer it holds. A request without any answer begins a conversation and is compared with none, unless `shared`
says what all of them begin with.

It sees the prompt, not the settings beside it: a changed `tool_choice` or thinking budget can lose the cache as well,
and `agentcache explain` knows those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias

from agentcache.accounting.usage import SIDE_KINDS, CallRecord
from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonValue
from agentcache.testing.prefix_blocks import PromptBlock, SeenRequest, seen_request

Request: TypeAlias = Mapping[str, JsonValue] | CallRecord
"""A Messages body, a line of a request log, or a row of a ledger that keeps text."""

_CONTEXT_CHARS = 40
_REPORTED_MOVES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A block that is not what it was, in `request`, held against `compared_with`.

    `before` or `now` is `None` where there is no block at that place.
    """

    where: str
    """`model`, `tools[i]`, `system[i]` or `messages[i].content[j]`: the first block that differs."""
    before: str | None
    now: str | None
    request: str
    compared_with: str

    def __str__(self) -> str:
        """Say what moved, where, and how the text differs."""
        return f"{self.where} moved in {self.request}, compared with {self.compared_with}:\n{_shown_difference(self)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedMove:
    """A move on purpose, for a `reason`.

    `where` is a place or the beginning of one (`messages`, `system[1]`); `None` is anywhere.
    """

    reason: str
    where: str | None = None

    def covers(self, move: Move) -> bool:
        """Tell whether `move` is one that this allows."""
        return self.where is None or f"{move.where}[".startswith((f"{self.where}[", f"{self.where}."))


def allow_move(*, reason: str, where: str | None = None) -> AllowedMove:
    """Return the permission for the prefix to move at `where`, by default anywhere.

    Raises `SettingsError` when the reason is empty: whoever pays for a moved prefix wants to know why.
    """
    if not reason.strip():
        raise SettingsError("allow_move() needs a reason: say why this prompt has to move")
    return AllowedMove(reason=reason, where=where)


class PrefixGuard:
    """Watches requests one by one and keeps every move that it saw.

    shared: the last block that all requests (of one agent) have in common, e.g. `"tools"`, `"system[0]"`, `"system"`;
        `None` compares within conversations only. allowed: moves on purpose.
    """

    def __init__(self, *, shared: str | None = None, allowed: Iterable[AllowedMove] = ()) -> None:
        if shared is not None and shared.partition("[")[0] not in {"tools", "system"}:
            raise SettingsError(f"shared={shared!r} names no block of tools or system; write e.g. 'system[0]'")
        self._shared = shared
        self._allowed = list(allowed)
        self._seen: list[SeenRequest] = []
        self._moves: list[Move] = []

    @property
    def moves(self) -> tuple[Move, ...]:
        """All moves so far, allowed ones included, oldest first."""
        return tuple(self._moves)

    @property
    def requests(self) -> int:
        """How many requests were compared; those with `max_tokens: 0`, which only fill the cache, do not count."""
        return len(self._seen)

    def allow_move(self, *, reason: str, where: str | None = None) -> None:
        """Allow a move at `where` (`None`: anywhere) from here on; raises `SettingsError` when the reason is empty."""
        self._allowed.append(allow_move(reason=reason, where=where))

    def see(self, request: Request, *, agent: str | None = None, conversation: str | None = None) -> None:
        """Compare one more request, which the agent and the conversation of these names sent.

        Names in the request itself (log lines, rows of a ledger) come first. Raises `SettingsError` for a row that
        keeps no text and for what is no request.
        """
        if isinstance(request, CallRecord) and request.kind in SIDE_KINDS:
            return
        body, own_agent, own_conversation = _read(request)
        if body.get("max_tokens") == 0:
            return
        new = seen_request(
            body,
            number=len(self._seen) + 1,
            agent=own_agent or agent,
            conversation=own_conversation or conversation,
        )
        move = self._unshared(new) or _move(new, [seen for seen in reversed(self._seen) if _of_one_name(seen, new)])
        if move is not None:
            self._moves.append(move)
        self._seen.append(new)

    def check(self) -> None:
        """Raise `AssertionError` for moves that are not allowed, and for an allowed one that never happened."""
        wrong = [move for move in self._moves if not any(allowed.covers(move) for allowed in self._allowed)]
        if wrong:
            more = f"\n… and {len(wrong) - _REPORTED_MOVES} more moves" if len(wrong) > _REPORTED_MOVES else ""
            told = "\n".join(str(move) for move in wrong[:_REPORTED_MOVES])
            raise AssertionError(
                f"the prompt prefix moved: everything behind it is written to the cache again\n{told}{more}\n"
                "Move what changes behind what stays (a less stable layer), or say why it has to move with "
                f"allow_move(reason=…, where={wrong[0].where!r})"
            )
        for allowed in self._allowed:
            if not any(allowed.covers(move) for move in self._moves):
                place = f" at {allowed.where}" if allowed.where is not None else ""
                raise AssertionError(f"the move{place} allowed because {allowed.reason!r} never happened; take it out")

    def _unshared(self, new: SeenRequest) -> Move | None:
        """Return how a request differs from the agent's last one in what all of them share."""
        last = next((seen for seen in reversed(self._seen) if seen.agent == new.agent), new)
        length, own_length = self._shared_length(last), self._shared_length(new)
        return None if length == own_length and new.begins_with(last, length) else _difference(new, last)

    def _shared_length(self, request: SeenRequest) -> int:
        """Return how many blocks of a request belong to what is shared: those up to the last one that it names."""
        if self._shared is None:
            return 0
        ends = [index + 1 for index, block in enumerate(request.blocks) if self._is_shared(block)]
        if not ends and "[" in self._shared:
            raise AssertionError(f"{request.name} has no {self._shared}, which all requests are said to share")
        return ends[-1] if ends else 1

    def _is_shared(self, block: PromptBlock) -> bool:
        return self._shared in {block.where, block.level}


def assert_prefix_never_moved(
    requests: Iterable[Request], *, shared: str | None = None, allowed: Iterable[AllowedMove] = ()
) -> None:
    """Fail when a request changes a block that an earlier request of its conversation sent, or puts one before it.

    `requests` are Messages bodies (`emulator.requests`) or lines of a request log, oldest first, or the calls of a
    ledger that keeps text. `shared` and `allowed` are those of `PrefixGuard`. Raises `AssertionError` naming the first
    block that moved, also when there are no requests at all.
    """
    guard = PrefixGuard(shared=shared, allowed=allowed)
    for request in _in_order(list(requests)):
        guard.see(request)
    if guard.requests == 0:
        raise AssertionError("there are no requests to compare: nothing was sent to where they were taken from")
    guard.check()


def _in_order(requests: Sequence[Request]) -> Sequence[Request]:
    """Return the calls of a ledger in the order in which they were sent.

    On a clock that stands still many are sent at one time, and a ledger has those in no order: the longer one is later.
    """
    calls = [request for request in requests if isinstance(request, CallRecord)]
    if len(calls) < len(requests):
        return requests
    calls.sort(key=lambda call: (call.sent_at, _length(call)))
    return list(calls)


def _length(call: CallRecord) -> int:
    messages = call.request.get("messages") if call.request is not None else None
    return len(messages) if isinstance(messages, list) else 0


def _read(request: Request) -> tuple[Mapping[str, JsonValue], str | None, str | None]:
    """Return the body of a request, its agent, and its conversation, or its run where it names no conversation."""
    if isinstance(request, CallRecord):
        if request.request is None:
            raise SettingsError("this ledger keeps no text; open it with Runtime(keep_text=True) to compare prompts")
        return request.request, request.agent, request.conversation or request.run_id
    inner = request.get("request")
    body: Mapping[str, JsonValue] = inner if isinstance(inner, dict) else request
    if not isinstance(body.get("messages"), list):
        raise SettingsError(f"an object with the keys {sorted(request)} is neither a request nor a line of a log")
    if body is request:
        return body, None, None
    return body, _name(request.get("agent")), _name(request.get("conversation")) or _name(request.get("run"))


def _name(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None


def _of_one_name(one: SeenRequest, other: SeenRequest) -> bool:
    return (one.agent, one.conversation) == (other.agent, other.conversation)


def _move(new: SeenRequest, earlier: Sequence[SeenRequest]) -> Move | None:
    """Return how `new` differs from the request that it continues, `None` when it continues one or begins anew.

    `earlier` are the requests under the same names, newest first.
    """
    if not earlier:
        return None
    named = new.conversation is not None
    if new.answers == 0:
        before = earlier[0]
        return _difference(new, before) if named and not new.opens_like(before) else None
    for before in earlier:
        if before.answers == new.answers - 1 and new.extends(before):
            return None
        if before.answers == new.answers and new.extends(before, but_last_turn=True):
            return None
    continued = earlier[0] if named else _continued(new, earlier)
    return None if continued is None or new.extends(continued) else _difference(new, continued)


def _continued(new: SeenRequest, earlier: Sequence[SeenRequest]) -> SeenRequest | None:
    """Return the request that `new` most likely continues although a block of it moved."""
    kinship, before = max(((_kinship(new, before), before) for before in earlier), key=lambda pair: pair[0])
    return before if kinship else None


def _kinship(new: SeenRequest, before: SeenRequest) -> int:
    """Return how many characters two requests share; 0 unless they share an answer, or one holds the other's start."""
    own, told = new.spoken, before.spoken
    common = {block.digest for block in own} & {block.digest for block in told}
    if any(block.digest in common and block.role == "assistant" for block in told) or _starts_in(own, told, common):
        return sum(len(block.text) for block in told if block.digest in common)
    alike = new.answers == 1 and before.answers == 0 and bool(told)
    return _common_ends(own[0].text, told[0].text) if alike else 0


def _starts_in(own: Sequence[PromptBlock], told: Sequence[PromptBlock], common: Set[bytes]) -> bool:
    return any(blocks[0].digest in common for blocks in (own, told) if blocks)


def _common_ends(one: str, other: str) -> int:
    """Return how many characters two texts have in common at both ends; 0 when that is less than half of them."""
    start, end = _common_start(one, other), _common_start(one[::-1], other[::-1])
    length = max(len(one), len(other))
    common = min(start + end, len(one), len(other))
    return common if 2 * common >= length else 0


def _common_start(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _difference(new: SeenRequest, before: SeenRequest) -> Move:
    """Return the first block at which `new` is not what `before` was."""
    pairs = zip_longest(before.blocks, new.blocks)
    old, own = next(pair for pair in pairs if pair[0] is None or pair[1] is None or pair[0].digest != pair[1].digest)
    first = min((block for block in (old, own) if block is not None), key=lambda block: block.place)
    return Move(
        where=first.where,
        before=old.text if old is not None and old.place == first.place else None,
        now=own.text if own is not None and own.place == first.place else None,
        request=new.name,
        compared_with=before.name,
    )


def _shown_difference(move: Move) -> str:
    if move.before is None or move.now is None:
        told, text = ("now, and not before", move.now) if move.before is None else ("before, and gone", move.before)
        return f"  {told}: {_excerpt(text or '', 0)}"
    at = _common_start(move.before, move.now)
    return f"  before: {_excerpt(move.before, at)}\n  now:    {_excerpt(move.now, at)}"


def _excerpt(text: str, at: int) -> str:
    start, end = max(0, at - _CONTEXT_CHARS), at + _CONTEXT_CHARS
    cut = text[start:end]
    return repr(("…" if start else "") + cut + ("…" if end < len(text) else ""))
