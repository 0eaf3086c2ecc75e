"""The agents that a Python file declares, read from its text: nothing is imported, nothing is run.

Decides what counts as an agent of ours (a call of what is imported from `agentcache`), what its prompt says, and what
only running the file would tell. Reads no other file; prompt directories and templates are named for whoever does.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agentcache.lint.located_text import InlineSource, LocatedText, Spot
from agentcache.lint.python.literals import PythonText
from agentcache.lint.python.scopes import expressions
from agentcache.lint.python.values import Evaluation, FilePath, FileText, Made, NamedFunction, Unknown, Value, print_of
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.sections import Stability

Written: TypeAlias = LocatedText | FileText
"""A template's text, in the file itself or in another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredSection:
    """A section: its name (`None` where it has none of its own) and its template."""

    layer: Stability
    name: str | None
    template: Written


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable that an agent gives: its value, and where that is written; `computed` prints what it is made from."""

    name: str
    value: JsonValue
    computed: LocatedText | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredAgent:
    """An agent as the text of its file tells it.

    name, model: `None` where only running the file would tell. spot: where it is declared. directories: of its prompt,
    as they are written. includes: templates to include by name. variables: by layer, those that it gives.
    tools: as a JSON text, `None` without any. unread: why nothing of its prompt can be read, else `None`.
    """

    name: str | None
    model: str | None
    spot: Spot
    sections: tuple[DeclaredSection, ...]
    directories: tuple[str, ...]
    variables: Mapping[Stability, tuple[Variable, ...]]
    tools: InlineSource | None
    includes: Mapping[str, LocatedText]
    whole: bool
    """Whether the text tells all that a request begins with, so that it can be counted."""
    refreshed: bool
    """Whether a function gives its semi-static values."""
    unread: str | None


def declared_agents(source: PythonText) -> tuple[DeclaredAgent, ...]:
    """Return the agents of a file in the order of its text.

    Raises `SyntaxError` for a file that this Python cannot parse.
    """
    tree = ast.parse(source.text)
    evaluation = Evaluation(source)
    names = {"agent", *_names_of_ours(tree)}
    calls = [
        (node, scope)
        for node, scope in expressions(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in names
    ]
    made = [found for node, scope in calls if (found := evaluation.called(node, scope)) is not None]
    return tuple(_Reading(evaluation, each).agent() for each in made if each.what in {"Agent", "Team.agent"})


def _names_of_ours(tree: ast.Module) -> Iterator[str]:
    """Yield `Agent` and what it is called where it is imported."""
    yield "Agent"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (each.asname for each in node.names if each.name == "Agent" and each.asname)


class _Reading:
    """Reads one agent's declaration."""

    def __init__(self, evaluation: Evaluation, made: Made) -> None:
        self._evaluation = evaluation
        self._source = evaluation.source
        self._made = made
        self._team = made.team
        self._exact = not made.open

    def agent(self) -> DeclaredAgent:
        prompts = [made.named.get("prompt") for made in (self._team, self._made) if made is not None]
        prompts = [prompt for prompt in prompts if prompt is not None]
        known = [prompt for prompt in prompts if isinstance(prompt, Made)]
        sections = tuple(section for prompt in known for section in self._sections(prompt))
        directories = tuple(path for prompt in known if (path := _directory(prompt)) is not None)
        if len(known) < len(prompts) or any(prompt.open for prompt in known):
            self._exact = False
        variables = {
            Stability.STATIC: (*self._variables(self._team, "variables"), *self._variables(self._made, "variables")),
            Stability.SEMI_STATIC: tuple(self._variables(self._made, "semi_static")),
        }
        tools = self._tools()
        return DeclaredAgent(
            name=_text(self._made.named.get("name")),
            model=_text((self._team or self._made).named.get("model")),
            spot=self._source.spot(self._made.node),
            sections=sections,
            directories=directories,
            variables=variables,
            tools=tools,
            includes={name: text for prompt in known for name, text in self._includes(prompt)},
            whole=self._exact and not {"tools", "shared_tools", "toolsets", "output"} & self._given(),
            refreshed=isinstance(self._made.named.get("semi_static"), NamedFunction | Unknown),
            unread=None if sections or directories else self._why(prompts),
        )

    def _why(self, prompts: Sequence[Value]) -> str:
        if not prompts and not self._made.open:
            return "it has no prompt of its own"
        unknown = next((prompt.node for prompt in prompts if isinstance(prompt, Unknown)), None)
        told = "its arguments" if unknown is None else f"`{ast.unparse(unknown)}`"
        return f"only running the file tells what {told} is"

    def _given(self) -> frozenset[str]:
        return frozenset(self._made.named) | frozenset(self._team.named if self._team is not None else ())

    def _includes(self, prompt: Made) -> Iterator[tuple[str, LocatedText]]:
        given = prompt.named.get("includes", {})
        for name, text in given.items() if isinstance(given, Mapping) else ():
            if isinstance(text, LocatedText):
                yield name, text

    def _sections(self, prompt: Made) -> Iterator[DeclaredSection]:
        if prompt.what != "Prompt":
            return
        for layer in Stability:
            given = prompt.named.get(layer.value)
            for item in given if isinstance(given, list) else [given] if given is not None else []:
                yield from self._section(layer, item)

    def _section(self, layer: Stability, item: Value) -> Iterator[DeclaredSection]:
        name = None
        if isinstance(item, Made) and item.what == "Section":
            name, item = _text(item.named.get("name")), item.named.get("template")
        if isinstance(item, Unknown):
            item = print_of(item, self._source)
        if isinstance(item, LocatedText | FileText):
            self._exact = self._exact and not (isinstance(item, LocatedText) and item.prints_python)
            yield DeclaredSection(layer=layer, name=name, template=item)

    def _variables(self, made: Made | None, argument: str) -> Iterator[Variable]:
        given = None if made is None else made.named.get(argument)
        refreshed = isinstance(given, NamedFunction)  # its values change with each refresh, which is what it is for
        if isinstance(given, NamedFunction):
            given = self._evaluation.returned(given)
        for name, value in given.items() if isinstance(given, Mapping) else ():
            plain, known = _plain(value)
            computed = print_of(value, self._source) if isinstance(value, Unknown) and not refreshed else None
            yield Variable(name=name, value=plain if known else None, computed=computed)

    def _tools(self) -> InlineSource | None:
        """Return the tools that are functions of the file, in the order in which they are sent."""
        given: list[Value] = []
        for made, argument in ((self._team, "tools"), (self._made, "tools"), (self._made, "shared_tools")):
            tools = None if made is None else made.named.get(argument)
            given += tools if isinstance(tools, list) else [] if tools is None else [tools]
        if not given:
            return None
        if not all(isinstance(tool, NamedFunction) for tool in given):
            return None
        functions = {tool.node.name: tool.node for tool in given if isinstance(tool, NamedFunction)}
        whole: LocatedText | None = None
        for at, name in enumerate(sorted(functions)):
            node = functions[name]
            told: JsonObject = {"name": name, "description": ast.get_docstring(node) or ""}
            text = self._source.made_at(node, ("[" if not at else ",\n ") + json.dumps(told, ensure_ascii=False))
            whole = text if whole is None else whole + text
        if whole is None:
            return None
        whole += whole.part(len(whole.text), len(whole.text)).filled("]\n")
        return InlineSource(path=f"{whole.label}:tools", name="tools.json", text=whole.text, written=whole)


def _directory(prompt: Made) -> str | None:
    if prompt.what != "Prompt.from_dir":
        return None
    path = prompt.positional[0] if prompt.positional else prompt.named.get("path")
    return path.path if isinstance(path, FilePath) else _text(path)


def _text(value: Value) -> str | None:
    return value.text if isinstance(value, LocatedText) and not value.prints_python else None


def _plain(value: Value) -> tuple[JsonValue, bool]:
    """Return a value as JSON, and whether all of it is known."""
    if isinstance(value, LocatedText):
        return value.text, True
    if value is None or isinstance(value, bool | int | float):
        return value, True
    if isinstance(value, Mapping):
        pairs = {name: _plain(item) for name, item in value.items()}
        return {name: item for name, (item, _) in pairs.items()}, all(known for _, known in pairs.values())
    if isinstance(value, Sequence):
        items = [_plain(item) for item in value]
        return [item for item, _ in items], all(known for _, known in items)
    return None, False
