"""A tool: what the model is told about a function, how the function is called, and how its result reads.

Everything that could never work is refused at declaration. The definition that goes on the wire is made once and is
the same object ever after. Threads, time limits, the memo and the ledger are the business of `tool_calls.py`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, ParamSpec, Self, TypeAlias, TypedDict, TypeVar, Unpack, overload

from agentcache.errors import SettingsError, ToolArgumentsInvalid, ToolDeclarationError, ToolFailed
from agentcache.prompt.canonical import (
    JsonObject,
    JsonValue,
    canonical_json,
    canonical_text,
    digest,
    json_text,
    sorted_schema,
)
from agentcache.runtime.approval import ApprovalRule, checked_rule, must_be_approved
from agentcache.runtime.called_code import called_code
from agentcache.runtime.code_version import code_version
from agentcache.runtime.durations import Duration, seconds
from agentcache.runtime.memo_declaration import (
    ArgumentFunction,
    Memo,
    MemoRules,
    TagRule,
    Tags,
    checked_memo,
    checked_tags,
    tags_of,
)
from agentcache.runtime.signatures import Signature, is_async, read_signature, underlying
from agentcache.runtime.tool_results import MAX_RESULT_CHARS, ToolResult, failure, misfit, result_of

P = ParamSpec("P")
R = TypeVar("R")

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # the API's own rule for tool names

ToolFunction: TypeAlias = Callable[[JsonObject], object]
"""Takes the model's arguments as one mapping; plain or async."""


async def call_here(tool: Tool, arguments: JsonObject) -> object:
    """Call a tool's function in this thread and wait for it, however long it takes."""
    value = tool.function(arguments)
    return await value if inspect.isawaitable(value) else value


Invoke: TypeAlias = Callable[["Tool", JsonObject], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Tool:
    """A function that the model may ask for. Mostly made with `@tool`; made directly for a schema of your own.

    name: 1 to 64 letters, digits, `_` or `-`; description: what the model chooses it by.
    input_schema: JSON schema of an object. Made directly, arguments reach `function` as the model wrote them, in one
    dict; `function` may raise `ToolArgumentsInvalid` for those that do not fit.
    timeout_s: seconds for one call; `None` leaves it to whoever calls.
    deterministic: equal arguments give equal results and nothing else happens, so that results may be kept: for
    `ttl_s` seconds (`None`: until invalidated), under `tags` to invalidate them by. `memo` says the same and more.
    version: stands for the function's code in the key of kept results; worked out from its source when left out.
    side_effects: calls change something, so no result is ever kept; `invalidates` (tags, or a function of arguments
    that returns tags) names the kept results of other tools that a call makes old, and says `side_effects` as well.
    max_result_chars: where the text of a result is cut.
    concurrency: how many executions run at once in this process, over all agents and runs; `None` is no bound. Others
    wait their turn, before their time begins to count. Answers from the memo and waits for approval take no place.
    approval: whether a call waits for a person's decision; a function of some of the arguments, by name, tells case by
    case. It gets them validated where `@tool` made the schema, else as the model wrote them.

    Raises `ToolDeclarationError` for what could never work.
    """

    name: str
    description: str
    input_schema: JsonObject
    function: ToolFunction = field(repr=False)
    timeout_s: float | None = None
    deterministic: bool = False
    ttl_s: float | None = None
    tags: tuple[str, ...] = ()
    memo: Memo | None = None
    version: str | None = None
    side_effects: bool = False
    invalidates: Tags = ()
    max_result_chars: int = MAX_RESULT_CHARS
    concurrency: int | None = None
    approval: bool | ApprovalRule = False
    approval_behind: tuple[str, ...] = ()
    """Tools that calls of this one may reach, such as those of another agent, and that may wait for approval."""
    blocking: bool | None = None
    """Whether `function` must run in a thread of its own; `None`: if it is no coroutine function."""
    toolset: str = field(init=False, default="")
    """Name of the collection that it came with; such tools are sent behind an agent's own."""
    deferred: bool = field(init=False, default=False)
    """Whether it is out of the prompt until a tool search finds it."""
    signature: Signature | None = field(default=None, repr=False)
    """What validates arguments, where `@tool` made the tool."""
    where: str = field(default="", repr=False)
    """File, line and name of the declaration, for messages."""
    code: ArgumentFunction | None = field(default=None, repr=False)
    """The function whose code counts where no `version` is given; `None` is `function`."""
    memo_rules: MemoRules | None = field(init=False, default=None, repr=False)
    """How results are kept; `None` for a tool of which none are."""
    _drops: TagRule = field(init=False, repr=False)
    _identity: str | None = field(init=False, default=None, repr=False)
    _definition: JsonObject = field(init=False, repr=False)
    _approved_by: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        derived: dict[str, object] = {
            "where": self.where or declared_at(self.function),
            "tags": tuple(sorted(set(self.tags))),
            "blocking": not is_async(self.function) if self.blocking is None else self.blocking,
        }
        self._settle(derived)
        _check(self)
        properties = self.input_schema.get("properties")
        parameters = properties if isinstance(properties, dict) else {}
        self._settle(_keeping(self, parameters))
        definition: JsonObject = {
            "name": self.name,
            "description": canonical_text(self.description).strip(),
            "input_schema": sorted_schema(self.input_schema),
        }
        approved_by = checked_rule(self.approval, parameters, self.where)
        self._settle({"_definition": definition, "_approved_by": approved_by})

    def _settle(self, values: Mapping[str, object]) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def definition(self) -> JsonObject:
        """Return the tool as the API takes it. Always the same object; leave it as it is."""
        return self._definition

    def in_toolset(self, name: str, *, deferred: bool) -> Self:
        """Return the same tool as part of a toolset; a deferred one is out of the prompt until it is found."""
        made = copy(self)
        marked: JsonObject = {**self._definition, **({"defer_loading": True} if deferred else {})}
        made._settle({"toolset": name, "deferred": deferred, "_definition": marked})  # noqa: SLF001  # its own class
        return made

    def identity(self) -> str:
        """Return what stands for this tool in the keys of its results: its name, its code, and what the model is told.

        Worked out when it is first asked for: the code that a tool uses may stand below it.
        """
        if self._identity is None:
            called = None if self.code is None else called_code(self.code)
            parts = [self.name, self.version, called, canonical_json(self.definition())]
            self._settle({"_identity": digest(canonical_json(parts))})
        return str(self._identity)

    @property
    def drops_results(self) -> bool:
        """Whether calls make kept results of other tools old."""
        return self._drops != ()

    def dropped_by(self, arguments: JsonObject) -> tuple[str, ...]:
        """Return the tags of the kept results that a call with these arguments makes old.

        Raises what the author's function raises, and `ToolArgumentsInvalid` for arguments that never reach it.
        """
        return tags_of(self._drops, arguments if self.signature is None else self.signature.bind(arguments))

    @property
    def may_wait(self) -> tuple[str, ...]:
        """Names of the tools that may wait for approval when this one is called: itself, and those behind it."""
        return self.approval_behind if self.approval is False else (self.name, *self.approval_behind)

    def needs_approval(self, arguments: JsonObject) -> bool:
        """Tell whether a call with these arguments waits for a decision.

        Raises what the tool's rule raises, and `ToolArgumentsInvalid` for arguments that never reach it.
        """
        if isinstance(self.approval, bool):
            return self.approval
        known = arguments if self.signature is None else self.signature.bind(arguments)
        return must_be_approved(self.approval, self._approved_by, known)

    async def call(self, arguments: JsonObject, *, invoke: Invoke = call_here) -> ToolResult:
        """Call the function with the model's arguments and return its result, whatever happens.

        Left alone it runs in this thread and without its time limit, as suits a test of the tool itself; the runtime
        passes an `invoke` of its own. Only cancellation (and what else is no `Exception`) comes out as a raise.
        """
        try:
            value = await invoke(self, arguments)
        except ToolArgumentsInvalid as error:
            return failure("invalid_arguments", misfit(self.name, str(error)), error=error)
        except ToolFailed as error:
            return failure("error", str(error) or type(error).__name__, error=error)
        except Exception as error:  # noqa: BLE001  # the model is told, and `error` keeps it for the logs
            return failure("error", f"{type(error).__name__}: {error}", error=error)
        nothing = "ok" if self.signature is not None and self.signature.returns_nothing else "null"
        try:
            return result_of(value, max_chars=self.max_result_chars, nothing=nothing)
        except (TypeError, ValueError) as error:
            message = f"{self.name} returned a {type(value).__name__} that cannot be sent: {error}"
            return failure("error", message, error=error)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FunctionTool(Tool, Generic[P, R]):
    """A tool made with `@tool`. Called from Python it is still the function that it was."""

    original: Callable[P, R] = field(repr=False)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself: no validation, no conversion of the result."""
        return self.original(*args, **kwargs)


class ToolOptions(TypedDict, total=False):
    """Options of `@tool`; `Tool` says what each is for."""

    name: str
    description: str
    deterministic: bool
    ttl: Duration | None
    tags: Sequence[str]
    memo: Memo | None
    side_effects: bool
    invalidates: Tags
    timeout: Duration | None
    version: str | None
    max_result_chars: int
    concurrency: int | None
    approval: bool | ApprovalRule


@overload
def tool(function: Callable[P, R], /, **options: Unpack[ToolOptions]) -> FunctionTool[P, R]: ...
@overload
def tool(**options: Unpack[ToolOptions]) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def tool(
    function: Callable[P, R] | None = None, /, **options: Unpack[ToolOptions]
) -> FunctionTool[P, R] | Callable[[Callable[P, R]], FunctionTool[P, R]]:
    """Make a tool of a function, plain or async: `@tool`, `@tool(timeout="30s")` or `tool(orders.find)`.

    The schema comes from the signature by pydantic, the description from the docstring, whose parameter section (in
    Google, numpy or Sphinx style) describes the parameters. A plain function runs in a thread.

    options: `name`, `description`, `deterministic`, `ttl`, `tags`, `memo`, `side_effects`, `invalidates`, `timeout`,
    `version`, `max_result_chars`, `concurrency`, `approval`; `Tool` says what each is for.

    `ttl` and `timeout` take `"30s"`, `"1h"`, a number of seconds, a `timedelta`, or `None` for no bound; a plain
    function whose time is up goes on in its thread, but nobody waits for it. `ttl` and `tags` need
    `deterministic=True`; `memo=Memo(…)` says all of it and more. `{name}` in a tag stands for an argument. A tool
    that changes something says so: `invalidates=["file:{path}"]` drops what others keep under that tag.
    `concurrency=2` lets no more than two executions run at once in this process. Defaults: the
    function's name, not deterministic, no bounds, 200,000 characters.

    Raises `ToolDeclarationError`, naming file, line and function, for what could never work: no docstring, a
    parameter without a type or with one that JSON cannot carry, `*args`, a default that does not fit.
    """
    names = _names_around_caller()

    def declare(function: Callable[P, R]) -> FunctionTool[P, R]:
        return _declared(function, names, options)

    return declare if function is None else declare(function)


def _names_around_caller() -> Mapping[str, object]:
    """Return the names known where `tool` was called, so that a function may use types declared beside it."""
    frame = inspect.currentframe()
    try:
        caller = frame.f_back.f_back if frame is not None and frame.f_back is not None else None
        return {} if caller is None or caller.f_locals is caller.f_globals else dict(caller.f_locals)
    finally:
        del frame  # a frame that is its own local would outlive this call until the next garbage collection


def declared_at(function: Callable[P, object]) -> str:
    """Return `file:line name` of a function, for messages."""
    plain = underlying(function)
    if plain is None:
        return getattr(function, "__qualname__", type(function).__qualname__)
    return f"{plain.__code__.co_filename}:{plain.__code__.co_firstlineno} {plain.__qualname__}"


def _declared(function: Callable[P, R], names: Mapping[str, object], options: ToolOptions) -> FunctionTool[P, R]:
    if isinstance(function, Tool):
        raise ToolDeclarationError(f"{function.where}: is a tool already; to declare it anew, pass its .original")
    where = declared_at(function)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ToolDeclarationError(f"{where}: yields, but a tool returns one value; return a list")
    # A function of another module was declared among other names than those around this call.
    is_local = "<locals>" in getattr(function, "__qualname__", "")
    signature = read_signature(
        function, names=names if is_local else {}, description=options.get("description"), where=where
    )
    return FunctionTool(
        name=options.get("name") or str(getattr(function, "__name__", "")),
        description=signature.description,
        input_schema=signature.input_schema,
        function=partial(_call_with, function, signature),
        timeout_s=_seconds(options.get("timeout"), "timeout", where),
        deterministic=options.get("deterministic", False),
        ttl_s=_seconds(options.get("ttl"), "ttl", where),
        tags=_tags(options.get("tags", ()), where),
        memo=options.get("memo"),
        side_effects=options.get("side_effects", False),
        invalidates=options.get("invalidates", ()),
        version=options.get("version"),
        code=function,
        max_result_chars=options.get("max_result_chars", MAX_RESULT_CHARS),
        concurrency=options.get("concurrency"),
        approval=options.get("approval", False),
        blocking=not is_async(function),
        signature=signature,
        where=where,
        original=function,
    )


def _call_with(function: Callable[P, R], signature: Signature, arguments: JsonObject) -> R:
    return function(**signature.bind(arguments))  # type: ignore[arg-type, call-arg]  # `bind` made them fit P


def _seconds(value: Duration | None, name: str, where: str) -> float | None:
    try:
        return None if value is None else seconds(value)
    except SettingsError as error:
        raise ToolDeclarationError(f"{where}: {name}: {error}") from error


def _tags(tags: Sequence[str], where: str) -> tuple[str, ...]:
    if isinstance(tags, str):
        raise ToolDeclarationError(f"{where}: tags is the text {tags!r}; write tags=[{tags!r}]")
    return tuple(tags)


def _keeping(tool: Tool, parameters: Mapping[str, JsonValue]) -> dict[str, object]:
    """Return what the declarations about kept results come to, each said in one way from here on."""
    memo = Memo(ttl=tool.ttl_s, tags=tool.tags) if tool.memo is None and tool.deterministic else tool.memo
    drops = checked_tags(tool.invalidates, "invalidates", parameters, tool.where)
    acts = tool.side_effects or drops != ()
    if memo is None:
        return {"side_effects": acts, "_drops": drops, "code": None}
    rules = checked_memo(memo, parameters, tool.where, acts=acts)
    derived = {"deterministic": True, "memo": memo, "memo_rules": rules, "ttl_s": rules.ttl_s, "_drops": drops}
    if tool.version is not None:
        return {**derived, "code": None}
    code = tool.function if tool.code is None else tool.code
    return {**derived, "code": code, "version": code_version(code, where=tool.where)}


def _check(tool: Tool) -> None:
    where = tool.where
    if not _NAME.fullmatch(tool.name):
        raise ToolDeclarationError(
            f"{where}: the tool name {tool.name!r} is not 1 to 64 letters, digits, '_' or '-'; give one with name='...'"
        )
    if not tool.description.strip():
        raise ToolDeclarationError(f"{where}: has no description; say what the tool does, the model chooses by it")
    _check_schema(tool.input_schema, where)
    if tool.memo is not None and (tool.ttl_s is not None or tool.tags):
        raise ToolDeclarationError(f"{where}: has a memo beside ttl or tags; say them in it: Memo(ttl=..., tags=...)")
    if not tool.deterministic and (tool.ttl_s is not None or tool.tags):
        raise ToolDeclarationError(
            f"{where}: ttl and tags are about kept results, and only those of deterministic tools are kept; "
            "add deterministic=True if equal arguments always give equal results, or drop them"
        )
    if tool.max_result_chars < 1:
        raise ToolDeclarationError(f"{where}: max_result_chars is {tool.max_result_chars}; a result needs at least 1")
    if tool.concurrency is not None and (type(tool.concurrency) is not int or tool.concurrency < 1):
        raise ToolDeclarationError(
            f"{where}: concurrency is {tool.concurrency!r}; give 1 or more, or None for no bound"
        )


def _check_schema(schema: Mapping[str, JsonValue], where: str) -> None:
    if schema.get("type") != "object":
        found = schema.get("type")
        raise ToolDeclarationError(f"{where}: input_schema has type {found!r}; the API takes 'object' only")
    mixed = sorted({"anyOf", "oneOf", "allOf"} & schema.keys())
    if mixed:
        raise ToolDeclarationError(f"{where}: input_schema has {mixed[0]} at its top, which the API refuses; nest it")
    try:
        json_text(dict(schema))
    except (TypeError, ValueError) as error:
        raise ToolDeclarationError(f"{where}: input_schema is no JSON: {error}") from error
