"""One model call from a prepared request to its rows in the ledger.

Whatever becomes of a request that was sent (answered, refused, broken off, cancelled half-way), it has a row, and
the row is written even while the run is being cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from agentcache.accounting.logged_sections import LoggedSection, logged_sections
from agentcache.accounting.pricing import plain_usd, price_record
from agentcache.accounting.reading import side_records
from agentcache.accounting.usage import CallKind, CallRecord
from agentcache.accounting.waiting import saved_by_waiting
from agentcache.errors import StoreError
from agentcache.prompt.blocks import Block
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.layout import Layout
from agentcache.prompt.model_facts import facts_for
from agentcache.runtime import call_rows
from agentcache.runtime.admission import Admission, CallToSend, Gate
from agentcache.runtime.call_watch import CallWatch
from agentcache.runtime.despite_cancellation import row_kept
from agentcache.runtime.diagnostics import CacheDiagnostics
from agentcache.runtime.events import CallFinished, CallStarted, EventSink, Notice
from agentcache.runtime.limits import Meter
from agentcache.runtime.replies import CallObserver, Reply
from agentcache.runtime.requests import PreparedCall
from agentcache.runtime.section_sources import SectionSources
from agentcache.runtime.turnstile import Turnstile
from agentcache.stores.protocols import Ledger

LOST = "the process ended before the answer was recorded"
"""The error of a row whose call was under way when its process died: what it cost, nobody here knows."""

CANCELLED = "cancelled"
"""The error of a row whose call was cancelled."""


class ModelClient(Protocol):
    """Sends one request, retries included; `runtime/client.py` has the real one."""

    async def send(
        self, request: JsonObject, *, observer: CallObserver, extra_headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Return the reply, or raise a `CallError` once no attempt is left."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


class RequestRecorder(Protocol):
    """Keeps a request log (docs/formats.md); `runtime/request_log.py` has it."""

    def write(
        self,
        *,
        agent: str,
        run: str,
        conversation: str | None,
        request: JsonObject,
        reply: Reply,
        sections: Sequence[LoggedSection] = (),
    ) -> None:
        """Append one call."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """Whose call it is, who listens, and who pays: `charge` gets every row that the call causes, `meter` counts it.

    turn: which of its run's own calls it is, from 1; those of nested runs have numbers of their own.
    announce: put the row into the ledger before the request is sent, so that a call whose answer dies with the process
    is told of all the same. The row of the answer is then left to the caller, who has the answer itself to write down
    first (`recorded_steps.py`); rows of failures are written here as ever.
    """

    run_id: str
    agent: str
    conversation: str | None
    turn: int
    kind: CallKind = CallKind.MESSAGE
    emit: EventSink
    meter: Meter
    charge: Callable[[CallRecord], None]
    announce: bool = False


class CallFollower(Protocol):
    """Follows agents' own calls, so that what they cached can be kept alive; `workflow/keep_warm.py` has it."""

    def call_begins(self, context: CallContext) -> None:
        """Note that a call is about to be sent."""
        ...

    def call_answered(self, prepared: PreparedCall, context: CallContext, row: CallRecord) -> None:
        """Note that it was answered; `row` is its row in the ledger."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply and the id of the row that it has in the ledger."""

    call_id: str
    reply: Reply


@dataclass(slots=True)
class WrittenPrefixes:
    """Digests of the prefixes that this process has marked and sent; the oldest go first when `room` is used up."""

    room: int = 100_000
    _digests: dict[tuple[str, str], None] = field(default_factory=dict)

    def add(self, model: str, digests: Iterable[str]) -> None:
        """Remember what one call wrote or read."""
        for item in digests:
            self._digests.pop((model, item), None)
            self._digests[(model, item)] = None
        while len(self._digests) > self.room:
            del self._digests[next(iter(self._digests))]

    def deepest(self, layout: Layout) -> Block | None:
        """Return the block that ends the deepest prefix that an earlier call wrote."""
        found = (block for block in reversed(layout.blocks) if (layout.model, block.prefix_digest) in self._digests)
        return next(found, None)


@dataclass(slots=True, kw_only=True)
class Caller:
    """Sends prepared calls and writes their rows. Clock (Unix seconds) and ids are passed in."""

    client: ModelClient
    ledger: Ledger
    gate: Gate
    clock: Callable[[], float]
    new_id: Callable[[str], str]
    keep_text: bool = False
    recorder: RequestRecorder | None = None
    follower: CallFollower | None = None
    diagnostics: CacheDiagnostics | None = None
    written: WrittenPrefixes = field(default_factory=WrittenPrefixes)
    sources: SectionSources = field(default_factory=SectionSources)
    turnstile: Turnstile = field(default_factory=Turnstile)
    """Calls take turns at being written and sent: all that waited for one prefix wake up together."""

    async def call(self, prepared: PreparedCall, context: CallContext) -> Answer:
        """Send one call and return its answer. Every row is charged and kept before this returns or raises."""
        follower = self.follower if context.kind is CallKind.MESSAGE else None
        if follower is not None:
            follower.call_begins(context)
        diagnostics = self.diagnostics if context.kind is CallKind.MESSAGE else None
        thread = context.conversation or context.run_id
        if diagnostics is not None:
            prepared = diagnostics.asking(prepared, thread)
        async with self.gate.entered(self._asking(prepared, context)) as admission:
            await self.turnstile.passed()
            row = self._row(prepared, context)
            watch = CallWatch(context.emit, row, clock=self.clock, admission=admission)
            watch.admitted()
            context.emit(CallStarted(**watch.whose(row.sent_at), model=row.model, turn=row.turn))
            try:
                if context.announce:
                    await row_kept(self.ledger.put_call(replace(row, error=LOST)))
                reply = await self.client.send(prepared.request, observer=watch, extra_headers=_beta_header(prepared))
            except BaseException as error:
                # Refused, cancelled, or a listener raised: whatever it was, the request went out and has its row.
                end = _held(call_rows.unanswered(row, error, reason=_reason(error), at=self.clock()), admission)
                await self._keep(self._ended(row, watch, end), watch, context, prepared)
                raise
            final = _held(call_rows.answered(row, reply, keep_text=self.keep_text), admission)
            admission.answered(final.usage.output_tokens if final.usage else 0)
        if diagnostics is not None:
            final = diagnostics.answered(final, prepared, reply, thread)
        self.written.add(row.model, row.prefix_digests)
        self._record(prepared, context, reply)
        kept = await self._keep([*self._broken(row, watch), final], watch, context, prepared)
        if follower is not None:
            follower.call_answered(prepared, context, kept[final.call_id])
        return Answer(call_id=row.call_id, reply=reply)

    def _record(self, prepared: PreparedCall, context: CallContext, reply: Reply) -> None:
        if self.recorder is not None:
            self.recorder.write(
                agent=context.agent,
                run=context.run_id,
                conversation=context.conversation,
                request=prepared.request,
                reply=reply,
                sections=logged_sections(prepared.spans(), prepared.sources),
            )

    def _asking(self, prepared: PreparedCall, context: CallContext) -> CallToSend:
        layout = prepared.layout
        found = self.written.deepest(layout)
        return CallToSend(
            run_id=context.run_id,
            model=facts_for(layout.model).canonical,
            marks=prepared.plan.kept,
            prompt_tokens=layout.total_tokens,
            found_digest=None if found is None else found.prefix_digest,
            found_tokens=0 if found is None else found.prefix_tokens,
        )

    def _row(self, prepared: PreparedCall, context: CallContext) -> CallRecord:
        layout = prepared.layout
        deepest = self.written.deepest(layout)
        found = () if deepest is None else (deepest.prefix_digest,)
        return CallRecord(
            call_id=self.new_id("call"),
            run_id=context.run_id,
            kind=context.kind,
            agent=context.agent,
            model=layout.model,
            conversation=context.conversation,
            turn=context.turn,
            sent_at=self.clock(),
            usage=None,
            plan=prepared.plan_json(),
            section_tokens=layout.section_tokens(),
            prefix_digests=tuple(point.prefix_digest for point in prepared.plan.kept),
            found_digests=found,
            held_s={},
            prompt_spans=prepared.spans(found),
            request=prepared.request if self.keep_text else None,
        )

    def _broken(self, row: CallRecord, watch: CallWatch) -> list[CallRecord]:
        """Return a row of its own for every attempt that was accepted and broke: the server may have billed it."""
        rows = [
            call_rows.never_begun(row, broken.error, at=broken.at)
            if broken.partial is None
            else call_rows.broken_off(row, broken.partial, broken.error, keep_text=self.keep_text)
            for broken in watch.broken
        ]
        return [replace(each, call_id=self.new_id("call"), attempts=1) for each in rows]

    def _ended(self, row: CallRecord, watch: CallWatch, end: CallRecord) -> list[CallRecord]:
        """Return the rows of a call that got no answer; where the last attempt broke off, its row is the call's."""
        broken = self._broken(row, watch)
        if watch.newest_broke and watch.broken[-1].partial is None:
            return [*broken[:-1], end]
        if watch.newest_broke:
            last = replace(
                broken[-1],
                call_id=row.call_id,
                attempts=end.attempts,
                error=end.error,
                ended_at=end.ended_at,
                held_s=end.held_s,
                held_saved_usd=end.held_saved_usd,
            )
            return [*broken[:-1], last]
        return [*broken, end]

    async def _keep(
        self, rows: list[CallRecord], watch: CallWatch, context: CallContext, prepared: PreparedCall
    ) -> dict[str, CallRecord]:
        """Charge, keep and tell rows with what the server billed beside them; return them priced, by id."""
        priced = [price_record(row) for main in rows for row in (main, *side_records(main, self.new_id))]
        for row in priced:
            context.charge(row)
        try:
            await row_kept(self._written(priced, context, prepared))
        finally:
            for row in priced:
                context.emit(CallFinished(**watch.whose(self.clock(), row.call_id), record=row))
        return {row.call_id: row for row in priced}

    async def _written(self, rows: Sequence[CallRecord], context: CallContext, prepared: PreparedCall) -> None:
        """Write rows; where the ledger cannot, say what was paid for, in a notice too: it may be cancelled above."""
        try:
            await self._write(rows, context, prepared)
        except StoreError as error:
            told = f"{error}; the ledger may lack {'; '.join(map(_paid, rows))}"
            context.emit(
                Notice(run_id=context.run_id, agent=context.agent, at=self.clock(), code="row_lost", message=told)
            )
            raise StoreError(told) from error

    async def _write(self, rows: Sequence[CallRecord], context: CallContext, prepared: PreparedCall) -> None:
        new = self.sources.new_of(rows[0].prompt_spans or (), prepared.sources, at_s=rows[0].sent_at)
        if new:
            # Together with the rows, and so in one commit with the first of them.
            await asyncio.gather(self.ledger.keep_provenance(new, used_at=rows[0].sent_at), self._add(rows, context))
        else:
            await self._add(rows, context)

    async def _add(self, rows: Sequence[CallRecord], context: CallContext) -> None:
        for row in rows:
            if not context.announce:
                await self.ledger.add_call(row)
            elif row.error is not None:
                await self.ledger.put_call(row)


def _paid(row: CallRecord) -> str:
    cost = "of unknown cost" if row.cost_usd is None else f"${plain_usd(row.cost_usd)}"
    return f"call {row.call_id} of {row.agent}, message {row.message_id or 'unknown'}, {cost}"


def _held(row: CallRecord, admission: Admission) -> CallRecord:
    """Return a call's row with how long it was held back, and what that saved if it was answered."""
    awaited = admission.awaited
    saved = saved_by_waiting(row if awaited is None else price_record(row), awaited)
    return replace(row, held_s=dict(admission.held_s), held_saved_usd=saved)


def _beta_header(prepared: PreparedCall) -> dict[str, str]:
    return {"anthropic-beta": ",".join(prepared.betas)} if prepared.betas else {}


def _reason(error: BaseException) -> str:
    return CANCELLED if isinstance(error, asyncio.CancelledError) else f"{type(error).__name__}: {error}"
