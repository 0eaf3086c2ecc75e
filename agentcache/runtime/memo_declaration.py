"""What an author declares about keeping a tool's results: how long, for whom, under which tags, what they depend on.

Everything that could never work is refused when the tool is declared: a placeholder or a function of something that
the tool does not take, a scope that does not exist. Pure: what a dependency is worth is found in
`memo_dependencies.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import Literal, TypeAlias, get_args

from agentcache.errors import SettingsError, ToolDeclarationError
from agentcache.prompt.canonical import canonical_json
from agentcache.runtime.durations import Duration, seconds
from agentcache.runtime.schemas import json_form

Scope: TypeAlias = Literal["run", "conversation", "shared"]
"""Who is answered with a kept result: calls below the same outermost run, of the same conversation, or all."""

ArgumentFunction: TypeAlias = Callable[..., object]  # type: ignore[explicit-any]  # its parameters are some of the tool's own
"""A function of some of a tool's validated arguments, taken by name."""

MAX_BYTES = 1_000_000
"""The largest result that is kept when nothing else is said."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """The content of the file at `path`, in which `{name}` stands for an argument."""

    path: str


@dataclass(frozen=True, slots=True)
class EnvironmentValue:
    """The value of an environment variable."""

    name: str


Dependency: TypeAlias = FileContent | EnvironmentValue | ArgumentFunction
"""What beside the arguments decides an answer: `Memo.file(…)`, `Memo.env(…)`, or a function of some arguments."""

Tags: TypeAlias = Sequence[str] | ArgumentFunction
"""Names to drop results by: texts in which `{name}` stands for an argument, or a function that returns names."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Memo:
    """How a tool's results are kept: `@tool(memo=Memo(ttl="1h", depends=[Memo.file("{path}")]))`.

    ttl: how long one is given out; `None` is until it is dropped.
    scope: who is answered with it: `"shared"` (all of a tenant), `"conversation"` (a run without one is one of its
    own), or `"run"` (the outermost run that the call is below). The last is kept in memory only.
    tags: names to drop results by, such as `"file:{path}"`, or a function of arguments that returns such names.
    key: a function of arguments; calls for which it returns the same are equal, whatever else they are given.
    depends: what beside the arguments decides the answer: `Memo.file(…)`, `Memo.env(…)`, or a function of arguments,
    plain or async. It is looked at before each call, and after one that was executed: what changed meanwhile keeps
    its result from being kept.
    max_bytes: larger results are not kept.

    Raises `SettingsError` for what means nothing; what does not fit the tool is a `ToolDeclarationError` of the tool.
    """

    ttl: Duration | None = None
    scope: Scope = "shared"
    tags: Tags = ()
    key: ArgumentFunction | None = None
    depends: Sequence[Dependency] = ()
    max_bytes: int = MAX_BYTES
    ttl_s: float | None = field(init=False)
    """`ttl` in seconds."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ttl_s", None if self.ttl is None else seconds(self.ttl))
        if self.scope not in get_args(Scope):
            raise SettingsError(f"memo: the scope is {self.scope!r}; it is one of {', '.join(get_args(Scope))}")
        if self.max_bytes < 1:
            raise SettingsError(f"memo: max_bytes is {self.max_bytes}; leave the memo out to keep nothing")
        if isinstance(self.depends, (str, FileContent, EnvironmentValue)) or callable(self.depends):
            raise SettingsError(f"memo: depends is {self.depends!r}; write a list of what the results depend on")

    @staticmethod
    def file(path: str) -> FileContent:
        """Return the dependency on a file's content; `{name}` in its path stands for an argument."""
        return FileContent(path)

    @staticmethod
    def env(name: str) -> EnvironmentValue:
        """Return the dependency on the environment variable `name`; one that is not set is a state like any other."""
        return EnvironmentValue(name)


@dataclass(frozen=True, slots=True)
class Template:
    """A text with arguments in it."""

    text: str
    names: tuple[str, ...]

    def filled(self, arguments: Mapping[str, object]) -> str:
        """Return the text with the arguments, each as text or else as canonical JSON."""
        if not self.names:
            return self.text.format()
        return self.text.format(**{name: _as_text(arguments.get(name)) for name in self.names})


@dataclass(frozen=True, slots=True)
class ArgumentRule:
    """A function of arguments, with the names of those that it takes."""

    function: ArgumentFunction
    names: tuple[str, ...]

    def of(self, arguments: Mapping[str, object]) -> object:
        """Call it. Arguments that the model left out of a schema made by hand are left out here too."""
        return self.function(**{name: arguments[name] for name in self.names if name in arguments})


TagRule: TypeAlias = tuple[Template, ...] | ArgumentRule
DependencyRule: TypeAlias = Template | EnvironmentValue | ArgumentRule


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoRules:
    """A declaration that was held against the tool's parameters. A `Template` among `depends` is a file's path."""

    ttl_s: float | None
    scope: Scope
    tags: TagRule
    key: ArgumentRule | None
    depends: tuple[DependencyRule, ...]
    max_bytes: int


def checked_memo(memo: Memo, parameters: Collection[str], where: str, *, acts: bool) -> MemoRules:
    """Return the rules of a tool with these parameters; `acts`: it has side effects. Raises `ToolDeclarationError`."""
    if acts:
        raise ToolDeclarationError(
            f"{where}: has side effects, so its results cannot be kept: a kept one is given out and nothing happens; "
            "drop deterministic and memo, or side_effects and invalidates"
        )
    if not isinstance(memo, Memo):
        raise ToolDeclarationError(f"{where}: memo is {memo!r}; write memo=Memo(...), or deterministic=True")
    key = None if memo.key is None else _rule(memo.key, "the memo's key", parameters, where)
    if key is not None and inspect.iscoroutinefunction(key.function):
        raise ToolDeclarationError(f"{where}: the memo's key is async; write a plain function, and put I/O in depends")
    return MemoRules(
        ttl_s=memo.ttl_s,
        scope=memo.scope,
        tags=checked_tags(memo.tags, "tags", parameters, where),
        key=key,
        depends=tuple(_dependency(item, parameters, where) for item in memo.depends),
        max_bytes=memo.max_bytes,
    )


def checked_tags(tags: Tags, what: str, parameters: Collection[str], where: str) -> TagRule:
    """Return what works out the tags of a call. Raises `ToolDeclarationError`."""
    if callable(tags):
        if inspect.iscoroutinefunction(tags):
            raise ToolDeclarationError(f"{where}: {what} is an async function; write a plain one")
        return _rule(tags, what, parameters, where)
    if isinstance(tags, str):
        raise ToolDeclarationError(f"{where}: {what} is the text {tags!r}; write {what}=[{tags!r}]")
    return tuple(_template(tag, what, parameters, where) for tag in sorted(set(tags)))


def tags_of(rule: TagRule, arguments: Mapping[str, object]) -> tuple[str, ...]:
    """Return the tags of one call, sorted. Raises what an author's function raises."""
    if not isinstance(rule, ArgumentRule):
        return tuple(sorted({template.filled(arguments) for template in rule}))
    found = rule.of(arguments)
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise TypeError(f"a function of tags returned {found!r}; return a list of texts")
    return tuple(sorted({str(tag) for tag in found}))


def _dependency(item: Dependency, parameters: Collection[str], where: str) -> DependencyRule:
    if isinstance(item, EnvironmentValue):
        return item
    if isinstance(item, FileContent):
        return _template(item.path, "depends", parameters, where)
    if callable(item):
        return _rule(item, "depends", parameters, where)
    raise ToolDeclarationError(f"{where}: depends holds {item!r}; write Memo.file(...), Memo.env(...) or a function")


def _template(text: str, what: str, parameters: Collection[str], where: str) -> Template:
    if not isinstance(text, str):
        raise ToolDeclarationError(f"{where}: {what} holds {text!r}, which is no text")
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ToolDeclarationError(f"{where}: {what}: {text!r} is no template: {error}; write {{{{ for a {{") from error
    names = []
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if form or conversion or not name.isidentifier():
            raise ToolDeclarationError(f"{where}: {what}: {text!r} may hold names of arguments only, like '{{path}}'")
        names.append(name)
    _require(names, f"{what} ({text!r})", parameters, where)
    return Template(text, tuple(names))


def _rule(function: ArgumentFunction, what: str, parameters: Collection[str], where: str) -> ArgumentRule:
    try:
        taken = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise ToolDeclarationError(f"{where}: {what}: {function!r} has no signature that Python can read") from error
    for name, parameter in taken.items():
        if parameter.kind not in {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}:
            raise ToolDeclarationError(f"{where}: {what} takes {name!r} not by its name; name each argument")
    _require(taken, what, parameters, where)
    return ArgumentRule(function, tuple(taken))


def _require(names: Iterable[str], what: str, parameters: Collection[str], where: str) -> None:
    for name in names:
        if name not in parameters:
            offered = ", ".join(sorted(parameters)) or "none"
            raise ToolDeclarationError(
                f"{where}: {what} looks at {name!r}, which the tool does not take (it takes: {offered})"
            )


def _as_text(value: object) -> str:
    form = json_form(value)
    return form if isinstance(form, str) else canonical_json(form)
