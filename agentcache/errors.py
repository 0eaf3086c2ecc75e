"""Every exception that agentcache raises, as one tree.

AgentCacheError
├── DeclarationError                 the author's mistake; raised before anything is sent
│   ├── TemplateError                a template that does not parse, load or render
│   │   ├── MissingVariable          a variable that no layer provides
│   │   └── VariableLayerError       a variable of a less stable layer than the section that uses it
│   ├── ToolDeclarationError         a function that cannot be a tool, or two tools of one name
│   ├── BreakpointError              explicit marks that no request could carry
│   ├── SettingsError                an option with no meaning here, or two that exclude each other
│   └── MistakesFound                strict: the linter finds an error in an agent's prompt; carries what it found
├── TargetError                      a command-line target, path or file that cannot be used
├── RunError                         a run ended without its result
│   ├── LimitReached                 turns, tokens, dollars or seconds; carries what was spent and by whom
│   ├── OutputInvalid                the model's answer does not fit the declared output
│   ├── Refused                      the model declined (`stop_reason: refusal`)
│   ├── OutputTruncated              `max_tokens` or the context window ended the answer
│   ├── ConversationBusy             another run of this process is in the conversation; raised before anything is sent
│   ├── ConversationChanged          another process saved it while this run was in it; says where its history is
│   ├── PrefixMoved                  strict: what a conversation sent before is not what it would send now
│   ├── ToolServerUnavailable        an MCP server cannot be reached, or does not list its tools
│   └── CallError                    a model call failed; carries the attempts made
│       ├── CallRejected             the API refuses this request; the same bytes would be refused again
│       │   └── Unauthenticated      no credentials, or credentials that the API does not accept
│       ├── RateLimited              429, after all attempts
│       ├── Overloaded               529 or 503, after all attempts
│       ├── ServerFailed             any other 5xx, after all attempts
│       ├── ConnectionFailed         no answer, or a stream that broke, after all attempts
│       └── ReplyMalformed           an answer that is no Messages reply
├── ToolFailed                       raised by a tool: its message goes to the model and the run goes on
│   └── ToolArgumentsInvalid         the model's arguments do not fit the tool
├── StoreError                       the ledger cannot be opened, read or written
│   ├── SchemaTooNew                 written by a newer agentcache than this one
│   └── StaleVersion                 a conversation to save is no longer as it was loaded
└── EmulatorError                    the emulator was asked for something that it cannot play
    ├── UnexpectedCall               a call that the script has no reply for
    └── UnusedReply                  a scripted reply that no call asked for

Messages say what is wrong, where, and what to do. This module imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


class AgentCacheError(Exception):
    """Root of every error that agentcache raises on purpose."""


class DeclarationError(AgentCacheError):
    """The author declared something that can never work; raised before anything is sent. Mend the declaration."""


class TemplateError(DeclarationError):
    """A template that does not parse, load or render; mend it at the place that the message names.

    `template` and `line` say where; `line` is 1-based and `None` when Jinja does not say.
    """

    def __init__(self, message: str, *, template: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.template = template
        self.line = line


class MissingVariable(TemplateError):
    """A template uses a variable that no layer provides: pass it where the message says, or declare its layer.

    template, line: as in `TemplateError`.
    """


class VariableLayerError(TemplateError):
    """A section uses a variable that belongs to a less stable layer than its own: move the sentence, or the variable.

    template, line: as in `TemplateError`.
    """


class ToolDeclarationError(DeclarationError):
    """A function that cannot be offered as a tool, or two tools with one name; raised by `@tool`, `Tool`, `Agent`.

    The message names file, line and function, and what to change.
    """


class BreakpointError(DeclarationError):
    """Explicit breakpoints that no request could carry (more than four, or on a block that takes none).

    Raised when the request is laid out, before it is sent: take one out, or leave them all to the policy.
    """


class SettingsError(DeclarationError):
    """An option that has no meaning here, or two options that exclude each other.

    The message says what to give instead.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMistake:
    """One finding of the linter, and what to do about it.

    code, name: of the rule (`PC001`, `clock-in-prefix`). severity: `error`, `warning` or `info`. path: the file, or
    agent and section of a prompt made in code. message: what is wrong; fix: what mends it. line: from 1, `None` where
    only the file or the section is known.
    """

    code: str
    name: str
    severity: str
    path: str
    line: int | None
    message: str
    fix: str

    def __str__(self) -> str:
        """Return place, code, message and fix as one line."""
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.code} {self.severity}: {self.message}; {self.fix}"


class MistakesFound(DeclarationError):
    """The linter finds an error in the prompt of an agent that is declared or run under `strict=True`; mend it there.

    found: everything that it finds there, warnings included, in the order of places.
    """

    def __init__(self, message: str, *, found: tuple[FoundMistake, ...]) -> None:
        super().__init__(message)
        self.found = found


class TargetError(AgentCacheError):
    """A command-line target, path or input file that cannot be used; the message says what is wrong with it."""


class RunError(AgentCacheError):
    """A run ended without its result; its rows are in the ledger. Catch it around `run.ask` to go on without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a run, or one agent of it, has used.

    turns: model calls. tokens: of prompts and answers, each counted once. cost_usd: at list price; `None` when a model
    is unpriced. seconds: wall time of a run; of an agent, the time of its calls added up. weighted_tokens: tokens as
    `Limits(tokens=…)` counts them, by their price. unknown_calls: calls whose bill nobody knows (they broke off before
    the server told it): they are in none of the sums, and count against bounds with their worst case.
    """

    turns: int
    tokens: int
    cost_usd: Decimal | None
    seconds: float
    weighted_tokens: Decimal = Decimal(0)
    unknown_calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """The most that one call can use: `tokens` by their price, as a bound counts them; `usd` `None` when unpriced."""

    tokens: Decimal
    usd: Decimal | None


class LimitReached(RunError):
    """A limit on turns, tokens, dollars or seconds leaves no room.

    Raise it, or catch this and say what was found so far.

    limit: `turns`, `tokens`, `usd` or `seconds`. run: name of the run whose bound it is, the one that was stopped or
    one above it. spent: what that run had used, everything nested in it included; by_agent: the same by the name of the
    agent. needed: what the call that was held back could have used at most; `None` where no call was, and where neither
    tokens nor dollars are bounded.
    """

    def __init__(
        self,
        message: str,
        *,
        limit: str,
        spent: Spent,
        run: str = "",
        by_agent: Mapping[str, Spent] | None = None,
        needed: WorstCase | None = None,
    ) -> None:
        super().__init__(message)
        self.limit = limit
        self.spent = spent
        self.run = run
        self.by_agent: Mapping[str, Spent] = dict(by_agent or {})
        self.needed = needed


class OutputInvalid(RunError):
    """The model's final answer does not fit the declared output, after all repair turns.

    Loosen the type, describe its fields, or ask a stronger model.
    """


class Refused(RunError):
    """The model declined to answer (`stop_reason: refusal`).

    `Agent(fallbacks=…)` asks another model; the same prompt is declined again.
    """


class OutputTruncated(RunError):
    """`max_tokens` or the context window ended the answer before it was complete.

    Raise `max_tokens`, ask for less, or compact the conversation (`Agent(compaction=…)`).
    """


class ConversationBusy(RunError):
    """Another run of this process is in the conversation; nothing was sent. Wait for it, or fork the conversation."""


class ConversationChanged(RunError):
    """Another process saved the conversation while this run was in it.

    Nothing is lost: the history with this run in it is kept as the conversation `kept_as`; go on with that one, or with
    `conversation` as the other process left it.
    """

    def __init__(self, message: str, *, conversation: str, kept_as: str) -> None:
        super().__init__(message)
        self.conversation = conversation
        self.kept_as = kept_as


class PrefixMoved(RunError):
    """A call was held back because its cached prefix moved, where the runtime is strict; `where` names the block.

    Put what changes there behind what stays, or run without `strict` and be told by a `Notice`.
    """

    def __init__(self, message: str, *, where: str) -> None:
        super().__init__(message)
        self.where = where


class ToolServerUnavailable(RunError):
    """An MCP server cannot be reached, or does not list its tools, and the run cannot begin without them.

    Start it, mend its command or address, or raise its `connect_timeout`.
    """


class CallError(RunError):
    """A model call failed.

    Its kinds say which way. `attempts` counts the requests sent, `status` is the last HTTP status (`None` when none
    came), `request_id` the API's own id for the last attempt.
    """

    def __init__(
        self, message: str, *, attempts: int = 1, status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.attempts = attempts
        self.status = status
        self.request_id = request_id


class CallRejected(CallError):
    """The API refuses this request (4xx); sending the same bytes again would be refused again.

    attempts, status, request_id: as in `CallError`. The message has the API's own words: mend what they name.
    """


class Unauthenticated(CallRejected):
    """No credentials were found, or the API does not accept them (401, 403).

    attempts, status, request_id: as in `CallError`. Set `ANTHROPIC_API_KEY`, or run with `--emulate`.
    """


class RateLimited(CallError):
    """The API answered 429 to every attempt.

    attempts, status, request_id: as in `CallError`. Send less at once (`Scheduling(concurrency=…)`) or ask for more.
    """


class Overloaded(CallError):
    """The API answered 529 or 503 to every attempt.

    attempts, status, request_id: as in `CallError`. Try later, or name another model in `Agent(fallbacks=…)`.
    """


class ServerFailed(CallError):
    """The API answered another 5xx to every attempt.

    attempts, status, request_id: as in `CallError`. Try later; `request_id` is what the API's operators ask for.
    """


class ConnectionFailed(CallError):
    """No answer came, or the stream broke, on every attempt.

    attempts, status, request_id: as in `CallError`. Look at the network and `base_url`; what was billed may be unknown.
    """


class ReplyMalformed(CallError):
    """The server answered with something that is no Messages reply.

    attempts, status, request_id: as in `CallError`. Look at what stands between: a proxy, or another `base_url`.
    """


class ToolFailed(AgentCacheError):
    """Raised inside a tool to tell the model, in the message's own words, why it has no result.

    It never ends a run: the model gets the message as a `tool_result` with `is_error` and goes on, so put into it what
    the model should try instead.
    """


class ToolArgumentsInvalid(ToolFailed):
    """The model's arguments do not fit the tool; the message says which and why, and the model is told to try again."""


class StoreError(AgentCacheError):
    """The ledger, the memo's store or a conversation cannot be opened, read or written.

    The message says which and why.
    """


class SchemaTooNew(StoreError):
    """The ledger was written by a newer agentcache than this one; nothing was changed. Update, or use another file."""


class StaleVersion(StoreError):
    """A conversation to save is no longer as it was loaded: somebody else saved it since.

    Stores raise it; a run tells it as `ConversationChanged`.
    """


class EmulatorError(AgentCacheError):
    """The emulator was asked for something that it cannot play; the message says what it can."""


class UnexpectedCall(EmulatorError):
    """A call arrived that the script has no reply for: add a reply, or find out why the agent asked once more."""


class UnusedReply(EmulatorError):
    """A scripted reply was never asked for: take it out, or find out why the agent ended sooner."""
