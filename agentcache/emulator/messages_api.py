"""The Messages API without its network: a call and a moment in, status, headers and body or events out.

A call has two moments, and the cache needs both: `begin` when the request arrives (what it finds, what it is charged)
and `begin_answer` when its first byte leaves (from then on others can read what it wrote). Between them somebody
answers; who, is no business of this module. Features of the real API that it does not play it refuses in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.compaction import outside_the_top_level
from agentcache.emulator.diagnosis import Diagnosis
from agentcache.emulator.json_values import JsonObject, JsonValue, UnreadableJson, digest, read_json
from agentcache.emulator.model_list import model_entry, model_page
from agentcache.emulator.positions import PromptReader, Scope
from agentcache.emulator.prompt_cache import Charge, Lookup, PromptCache
from agentcache.emulator.rate_limits import RateLimiter, RateLimits
from agentcache.emulator.refusals import OWN_WORDS, ApiError
from agentcache.emulator.replies import PREWARMED, Answer, ScriptedReply, answer_from
from agentcache.emulator.request import MessagesRequest
from agentcache.emulator.server_tool_rounds import later_rounds, tool_counts
from agentcache.emulator.statement import Statement, StatementLine
from agentcache.emulator.stream_events import events_of
from agentcache.emulator.validation import read_request

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Standard endpoints refuse longer bodies with 413 (errors page)."""

ORGANIZATION = "org-emulator"

Totals = Callable[[JsonObject], int | None]
"""Gives the length of a whole prompt where it is known, e.g. from a recorded response; `None`: estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """One HTTP request: `path` decoded, `query` as sent without its question mark, header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """One HTTP response: either a JSON `body` or stream `events`."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: JsonObject | None = None
    events: tuple[JsonObject, ...] | None = None


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """A time in seconds and its place in the order of all moments, for clocks that stand still."""

    at: float
    order: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCall:
    """An accepted call that waits for its answer."""

    message_id: str
    request_id: str
    request: MessagesRequest
    scope: Scope
    lookup: Lookup
    diagnostics: JsonValue


class MessagesApi:
    """One emulated account: its cache, its bill, its remembered fingerprints."""

    def __init__(
        self,
        *,
        settings: CacheSettings | None = None,
        reader: PromptReader | None = None,
        totals: Totals | None = None,
        keys: Mapping[str, str] | None = None,
        accept_unknown_models: bool = False,
        rate_limits: RateLimits | None = None,
        draw: Callable[[], float] | None = None,
        seed: str = "",
    ) -> None:
        """Open an account.

        `keys` maps API keys to workspaces; `None` accepts any key, in the workspace `default`. `seed` makes ids
        differ between emulators whose records meet. `draw` is for `CacheSettings.hit_probability`.
        """
        self.settings = settings or CacheSettings()
        self.cache = PromptCache(self.settings, draw=draw)
        self.statement = Statement()
        self._reader = reader or PromptReader(self.settings)
        self._totals = totals
        self._keys = keys
        self._accept_unknown_models = accept_unknown_models
        self._limiter = RateLimiter(rate_limits)
        self._diagnosis = Diagnosis()
        self._seed = seed
        self._made_ids = 0
        self._moments = 0

    def moment(self, now: float) -> Moment:
        """Return the next moment at time `now`; call it when a request arrives and when an answer begins."""
        self._moments += 1
        return Moment(now, self._moments)

    def reset(self) -> None:
        """Forget the cache, the bill, the fingerprints and the used-up rate limits."""
        self.cache.clear()
        self.statement.clear()
        self._diagnosis.clear()
        self._limiter.clear()

    def begin(self, call: HttpCall, moment: Moment) -> HttpAnswer | PendingCall:
        """Take a call that arrived at `moment`: answer it, or return it pending because a model must speak."""
        request_id = self.new_id("req")
        try:
            return self._route(call, moment, request_id)
        except ApiError as error:
            return self.refuse(error, moment.at, request_id=request_id)

    def begin_answer(self, pending: PendingCall, answer: Answer, moment: Moment) -> HttpAnswer:
        """Start to answer at `moment`: what the call wrote becomes readable, and it is billed."""
        self.cache.commit(pending.lookup, first_byte_at=moment.at, order=moment.order)
        charge = self._charge_rounds(pending, answer, moment)
        self._limiter.count(charge, answer.output_tokens, moment.at)
        self.statement.add(
            StatementLine(
                message_id=pending.message_id,
                request_id=pending.request_id,
                model=pending.request.model,
                workspace=pending.scope.workspace,
                started_at=pending.lookup.started_at,
                first_byte_at=moment.at,
                charge=charge,
                output_tokens=answer.output_tokens,
                complete=False,
            )
        )
        message = _message(pending, answer, charge)
        headers = self._headers(pending.request_id, moment.at)
        if pending.request.stream:
            first_usage = _usage(pending, answer, pending.lookup.charge)
            events = tuple(events_of(message, first_usage=first_usage, cut_input=answer.cut_input))
            return HttpAnswer(status=200, headers=headers, events=events)
        return HttpAnswer(status=200, headers=headers, body=message)

    def _charge_rounds(self, pending: PendingCall, answer: Answer, moment: Moment) -> Charge:
        """Return the charge of all rounds: one, and one more after each use of a server tool."""
        charge = pending.lookup.charge
        for later in later_rounds(pending.request, answer.content):
            prompt = self._reader.read(later, pending.scope)
            lookup = self.cache.look_up(prompt, now=moment.at, order=moment.order)
            self.cache.commit(lookup, first_byte_at=moment.at, order=moment.order)
            charge += lookup.charge
        return charge

    def answer_for(self, pending: PendingCall, reply: ScriptedReply) -> Answer:
        """Return `reply` as the answer to `pending`; raises `EmulatorError` when it has no valid shape."""
        return answer_from(reply, pending.request, self.new_id)

    def prewarms(self, pending: PendingCall) -> Answer | None:
        """Return the empty answer when the call only fills the cache (`max_tokens: 0`), else `None`: ask a model."""
        return PREWARMED if pending.request.max_tokens == 0 else None

    def respond(self, call: HttpCall, reply: Callable[[JsonObject], ScriptedReply], *, now: float) -> HttpAnswer:
        """Answer one call at once, for callers without a network: it arrives and is answered at `now`."""
        begun = self.begin(call, self.moment(now))
        if isinstance(begun, HttpAnswer):
            return begun
        answer = self.prewarms(begun) or self.answer_for(begun, reply(begun.request.body))
        http = self.begin_answer(begun, answer, self.moment(now))
        self.statement.mark_complete(begun.message_id)
        return http

    def refuse(self, error: ApiError, now: float, *, request_id: str | None = None) -> HttpAnswer:
        """Return `error` as the API sends it."""
        identifier = request_id or self.new_id("req")
        headers = self._headers(identifier, now)
        if error.retry_after_s is not None:
            headers = (*headers, ("retry-after", f"{error.retry_after_s:.0f}" if error.retry_after_s >= 1 else "1"))
        return HttpAnswer(status=error.status, headers=headers, body=error.body(identifier))

    def new_id(self, prefix: str) -> str:
        """Return an id in the API's form, e.g. `msg_01…`; the same seed gives the same ids in the same order."""
        self._made_ids += 1
        return f"{prefix}_01{digest(self._seed.encode(), str(self._made_ids).encode()).hex()[:22]}"

    def _route(self, call: HttpCall, moment: Moment, request_id: str) -> HttpAnswer | PendingCall:
        workspace = self._workspace(call.headers)
        if call.path in {"/v1/messages", "/v1/messages/count_tokens"}:
            _require_method(call, "POST")
            return self._messages(call, Scope(organization=ORGANIZATION, workspace=workspace), moment, request_id)
        if call.path == "/v1/models" or call.path.startswith("/v1/models/"):
            _require_method(call, "GET")
            name = call.path.removeprefix("/v1/models").strip("/")
            body = model_entry(name) if name else model_page(_query(call.query))
            return HttpAnswer(status=200, headers=self._headers(request_id, moment.at), body=body)
        if call.path.startswith("/v1/"):
            raise ApiError(f"{OWN_WORDS}{call.path} is not played", kind="not_found_error")
        raise ApiError("Not Found", kind="not_found_error")

    def _messages(self, call: HttpCall, scope: Scope, moment: Moment, request_id: str) -> HttpAnswer | PendingCall:
        if "anthropic-version" not in call.headers:
            raise ApiError("anthropic-version: header is required")
        if len(call.body) > MAX_BODY_BYTES:
            raise ApiError("Request exceeds the maximum size", kind="request_too_large")
        try:
            body = read_json(call.body)
        except UnreadableJson as error:
            raise ApiError(f"The request body is not valid JSON: {error}") from error
        counting = call.path.endswith("/count_tokens")
        request = read_request(
            body,
            betas=_betas(call.headers),
            settings=self.settings,
            counting=counting,
            accept_unknown_models=self._accept_unknown_models,
        )
        total = self._totals(request.body) if self._totals is not None else None
        prompt = self._reader.read(request, scope, total_tokens=total)
        if counting:
            counted: JsonObject = {"input_tokens": prompt.total_tokens}
            return HttpAnswer(status=200, headers=self._headers(request_id, moment.at), body=counted)
        _refuse_overlong(request, prompt.total_tokens)
        self._limiter.admit(moment.at)
        message_id = self.new_id("msg")
        return PendingCall(
            message_id=message_id,
            request_id=request_id,
            request=request,
            scope=scope,
            lookup=self.cache.look_up(prompt, now=moment.at, order=moment.order),
            diagnostics=self._diagnosis.diagnose(request, scope, message_id=message_id),
        )

    def _workspace(self, headers: Mapping[str, str]) -> str:
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not key:
            raise ApiError("x-api-key header is required", kind="authentication_error")
        named = headers.get("anthropic-workspace-id")
        if self._keys is None:
            return named or "default"
        if key not in self._keys:
            raise ApiError("invalid x-api-key", kind="authentication_error")
        return self._keys[key]

    def _headers(self, request_id: str, now: float) -> tuple[tuple[str, str], ...]:
        return (
            ("request-id", request_id),
            ("anthropic-organization-id", ORGANIZATION),
            *self._limiter.headers(now),
        )


def _require_method(call: HttpCall, method: str) -> None:
    if call.method != method:
        raise ApiError("Method Not Allowed", status=405)


def _query(text: str) -> dict[str, str]:
    """Return the parameters of a query; those of the Models API need no decoding."""
    return {name: value for name, found, value in (part.partition("=") for part in text.split("&")) if found}


def _betas(headers: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name.strip() for name in headers.get("anthropic-beta", "").split(",") if name.strip())


def _refuse_overlong(request: MessagesRequest, total_tokens: int) -> None:
    window = request.facts.context_window_tokens
    if window is not None and total_tokens > window:
        raise ApiError(f"prompt is too long: {total_tokens} tokens > {window} maximum")


def _message(pending: PendingCall, answer: Answer, charge: Charge) -> JsonObject:
    content: Sequence[JsonValue] = answer.content
    return {
        "id": pending.message_id,
        "type": "message",
        "role": "assistant",
        "model": pending.request.model,
        "content": list(content),
        "stop_reason": answer.stop_reason,
        "stop_sequence": answer.stop_sequence,
        "stop_details": answer.stop_details,
        "usage": _usage(pending, answer, charge),
        "diagnostics": pending.diagnostics,
    }


def _usage(pending: PendingCall, answer: Answer, charge: Charge) -> JsonObject:
    used_tools = tool_counts(answer.content)
    usage: JsonObject = {
        "input_tokens": charge.plain_tokens,
        "cache_creation_input_tokens": charge.write_5m_tokens + charge.write_1h_tokens,
        "cache_read_input_tokens": charge.read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": charge.write_5m_tokens,
            "ephemeral_1h_input_tokens": charge.write_1h_tokens,
        },
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"thinking_tokens": answer.thinking_tokens},
        "service_tier": "standard",
        "inference_geo": pending.request.body.get("inference_geo") or "global",
        **({"server_tool_use": used_tools} if used_tools is not None else {}),
        **({"speed": pending.request.body["speed"]} if pending.request.body.get("speed") else {}),
    }
    return outside_the_top_level(usage) if pending.request.compacts else usage
