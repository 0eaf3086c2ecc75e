"""An emulated account for tests: calls as plain bodies, tokens as words, time as an argument."""

from __future__ import annotations

from collections.abc import Mapping

from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.json_values import JsonObject, JsonValue, compact
from agentcache.emulator.messages_api import HttpAnswer, HttpCall, MessagesApi, Moment, PendingCall
from agentcache.emulator.positions import PromptReader
from agentcache.emulator.prompt_cache import Charge
from agentcache.prompt.model_facts import ModelFacts

HEADERS = {"x-api-key": "test", "anthropic-version": "2023-06-01"}
SONNET = "claude-sonnet-4-6"

Body = dict[str, object]


class WordCounter:
    """A block is as long as it has words; nothing stands between blocks."""

    def block_tokens(self, block: JsonObject, facts: ModelFacts) -> int:
        return len(_words(block))

    def message_tokens(self, role: str, facts: ModelFacts) -> int:
        return 0

    def closing_tokens(self, facts: ModelFacts) -> int:
        return 0

    def tool_prompt_tokens(self, facts: ModelFacts, *, forced: bool = False) -> int:
        return 0

    def output_format_tokens(self, schema: JsonObject, facts: ModelFacts) -> int:
        return 0


def _words(block: JsonObject) -> list[str]:
    for key in ("text", "description", "content", "thinking"):
        value = block.get(key)
        if isinstance(value, str):
            return value.split()
    return ["one"]


class Account:
    """One account whose prompts are counted in words, so that a test can say exactly how long each block is."""

    def __init__(self, settings: CacheSettings | None = None, **options: object) -> None:
        self.settings = settings or CacheSettings()
        reader = PromptReader(self.settings, counter=WordCounter())
        self.api = MessagesApi(settings=self.settings, reader=reader, **options)  # type: ignore[arg-type]

    def post(
        self,
        body: Mapping[str, object],
        *,
        now: float = 0.0,
        headers: Mapping[str, str] | None = None,
        reply: object = "ok",
        path: str = "/v1/messages",
    ) -> HttpAnswer:
        call = _call(body, headers, path)
        return self.api.respond(call, lambda _: reply, now=now)  # type: ignore[arg-type, return-value]

    def begin(self, body: Mapping[str, object], *, now: float = 0.0, moment: Moment | None = None) -> PendingCall:
        begun = self.api.begin(_call(body, None, "/v1/messages"), moment or self.api.moment(now))
        assert isinstance(begun, PendingCall), begun
        return begun

    def first_byte(self, pending: PendingCall, *, now: float) -> HttpAnswer:
        return self.api.begin_answer(pending, self.api.answer_for(pending, "ok"), self.api.moment(now))

    def charge(
        self, body: Mapping[str, object], *, now: float = 0.0, headers: Mapping[str, str] | None = None
    ) -> tuple[int, int, int, int]:
        """Return (1h write, 5m write, read, plain) of one call: the columns of the specification's test vectors."""
        answer = self.post(body, now=now, headers=headers)
        assert answer.status == 200, answer.body
        return columns(self.api.statement.lines[-1].charge)

    def error(self, body: Mapping[str, object], *, headers: Mapping[str, str] | None = None, status: int = 400) -> str:
        """Return the message with which `body` is refused."""
        answer = self.post(body, headers=headers)
        assert answer.status == status, answer.body
        return error_message(answer)


def columns(charge: Charge) -> tuple[int, int, int, int]:
    return charge.write_1h_tokens, charge.write_5m_tokens, charge.read_tokens, charge.plain_tokens


def error_message(answer: HttpAnswer) -> str:
    assert answer.body is not None
    error = answer.body["error"]
    assert isinstance(error, dict)
    return str(error["message"])


def usage_of(answer: HttpAnswer) -> dict[str, JsonValue]:
    assert answer.body is not None, answer
    usage = answer.body["usage"]
    assert isinstance(usage, dict)
    return usage


def _call(body: Mapping[str, object], headers: Mapping[str, str] | None, path: str) -> HttpCall:
    return HttpCall(method="POST", path=path, headers={**HEADERS, **(headers or {})}, body=compact(body).encode())


def words(count: int, word: str = "w") -> str:
    """Return a text of `count` words: `count` tokens under `WordCounter`."""
    return " ".join([word] * count)


def text(count: int, word: str = "w", *, ttl: str | None = None) -> Body:
    """Return a text block of `count` tokens, marked when a lifetime is given."""
    return mark({"type": "text", "text": words(count, word)}, ttl)


def mark(block: Mapping[str, object], ttl: str | None = "5m") -> Body:
    return {**block} if ttl is None else {**block, "cache_control": {"type": "ephemeral", "ttl": ttl}}


def tool(name: str, count: int = 1, *, ttl: str | None = None) -> Body:
    """Return a custom tool of `count` tokens."""
    return mark({"name": name, "description": words(count), "input_schema": {"type": "object"}}, ttl)


def user(*blocks: object) -> Body:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: object) -> Body:
    return {"role": "assistant", "content": list(blocks)}


def call_tool(number: int, name: str = "look") -> Body:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": {"n": number}}


def result(number: int, content: object = "found", *, ttl: str | None = None) -> Body:
    return mark({"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": content}, ttl)


def request(*messages: object, model: str = SONNET, **fields: object) -> Body:
    return {"model": model, "max_tokens": 1000, "messages": list(messages), **fields}
