"""Parses templates as far as they can be understood without the environment that their author renders them in.

Unknown filters, tests and tags parse: a tag `{% weather "Oslo" %}` becomes a printed call, and one that some
`{% endweather %}` closes keeps its body. What does not parse becomes a problem with its line and never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from jinja2 import Environment, nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

from agentcache.lint.agent_sources import AgentSources, SourceFile
from agentcache.lint.positions import PlacingLexer, Tag, TextMap
from agentcache.lint.tree_walk import all_below

UNKNOWN_TAG = "agentcache.lint.unknown_tag"
"""Identifier of the `nodes.ExtensionAttribute` that an unknown tag's call has in place of a function."""

_EXTENSIONS = ("jinja2.ext.do", "jinja2.ext.i18n", "jinja2.ext.loopcontrols")
_CLOSING = re.compile(r"\{%[-+]?\s*end(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a file could not be understood. line: from 1, `None` where it is not known."""

    line: int | None
    message: str


@dataclass(frozen=True, kw_only=True)
class ParsedTemplate:
    """A template and its syntax tree, or the problem in its place. tags: all of a template that has a tree."""

    file: SourceFile
    tree: nodes.Template | None
    problem: Problem | None
    tags: tuple[Tag, ...] = field(default=(), repr=False, compare=False)

    @cached_property
    def blocks(self) -> tuple[nodes.Block, ...]:
        """All `{% block %}` of the template."""
        if self.tree is None or "block" not in self.file.text:
            return ()
        return tuple(all_below(self.tree, nodes.Block))

    @cached_property
    def extends(self) -> nodes.Extends | None:
        """The template's `{% extends %}`, if it has one."""
        if self.tree is None or "extends" not in self.file.text:
            return None
        return next(all_below(self.tree, nodes.Extends), None)

    @cached_property
    def text_map(self) -> TextMap:
        """The text with its lines and tags, for places."""
        return TextMap(self.file.text, self.tags)


class _PlacedStream(TokenStream):
    """Tokens with offsets. tags: those that the parser has passed."""

    def __init__(self, source: str, name: str | None, filename: str | None, state: str | None) -> None:
        self.tags: list[Tag] = []
        placed = _LEXER.placed(source, self.tags, name, filename, state)
        super().__init__(_LEXER.wrap(placed, name, filename), name, filename)


class _TolerantParser(Parser):
    stream: _PlacedStream

    def __init__(self, environment: Environment, source: str, name: str | None, filename: str | None) -> None:
        super().__init__(environment, source, name, filename)
        self._closed = frozenset(_CLOSING.findall(source))

    def parse(self) -> nodes.Template:
        """Parse the template; nodes are not told their environment, which only running them needs."""
        return nodes.Template(self.subparse(), lineno=1)

    def parse_statement(self) -> nodes.Node | list[nodes.Node]:
        """Parse a statement; an unknown one as a printed call or as its body."""
        token = self.stream.current
        if token.type != "name" or self._knows(token.value):
            return super().parse_statement()
        next(self.stream)
        arguments, target = self._arguments()
        if token.value in self._closed:
            return self._body(token.value, token.lineno)
        called = nodes.ExtensionAttribute(UNKNOWN_TAG, token.value, lineno=token.lineno)
        call = nodes.Call(called, arguments, [], None, None, lineno=token.lineno)
        if target is not None:
            return nodes.Assign(target, call, lineno=token.lineno)
        return nodes.Output([call], lineno=token.lineno)

    def _knows(self, tag: str) -> bool:
        known = {"autoescape", "block", "call", "extends", "filter", "for", "from", "if", "import", "include", "macro"}
        return (
            tag in known | {"print", "set", "with", *self.extensions}
            or tag.startswith("end")
            or tag in {"elif", "else", "pluralize"}
        )

    def _body(self, tag: str, line: int) -> nodes.Node:
        end = f"name:end{tag}"
        body = self.parse_statements((end,))
        while self.stream.current.type not in {"block_end", "eof"}:
            next(self.stream)
        return nodes.Scope(body, lineno=line)

    def _arguments(self) -> tuple[list[nodes.Expr], nodes.Name | None]:
        """Read whatever stands in an unknown tag; what is no expression is passed over."""
        arguments: list[nodes.Expr] = []
        target = None
        while self.stream.current.type not in {"block_end", "eof"}:
            if self.stream.current.test("name:as") and self.stream.look().type == "name":
                next(self.stream)
                target = nodes.Name(self.stream.current.value, "store", lineno=self.stream.current.lineno)
                next(self.stream)
            elif self.stream.current.type == "name" and self.stream.look().type == "assign":
                next(self.stream)
                next(self.stream)
            else:
                self._argument(arguments)
        return arguments, target

    def _argument(self, arguments: list[nodes.Expr]) -> None:
        try:
            arguments.append(self.parse_expression())
        except TemplateSyntaxError:
            if self.stream.current.type not in {"block_end", "eof"}:
                next(self.stream)


class _TolerantEnvironment(Environment):
    """Jinja for reading only: nothing is ever rendered with it."""

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> _PlacedStream:
        return _PlacedStream(source, name, filename, state)  # none of the extensions changes source or tokens


ENVIRONMENT = _TolerantEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=_EXTENSIONS)
_LEXER = PlacingLexer(ENVIRONMENT)


def parse_sources(sources: AgentSources) -> Mapping[str, ParsedTemplate]:
    """Return every template of an agent by its name, parsed; layers first."""
    files: dict[str, SourceFile] = {file.name: file for file in sources.layers}
    files |= {name: file for name, file in sources.includes.items() if name not in files}
    return {name: parse_file(file) for name, file in files.items()}


@lru_cache(maxsize=512)
def parse_file(file: SourceFile) -> ParsedTemplate:
    """Return one template parsed; those that many agents include are parsed once."""
    foreign = _other_engine(file)
    if foreign is not None:
        return ParsedTemplate(file=file, tree=None, problem=foreign)
    try:
        parser = _TolerantParser(ENVIRONMENT, file.text, file.name, file.path)
        tree = parser.parse()
        return ParsedTemplate(file=file, tree=tree, problem=None, tags=tuple(parser.stream.tags))
    except TemplateSyntaxError as error:
        problem = Problem(line=int(error.lineno), message=str(error.message or "it does not parse").rstrip("."))
    except ValueError as error:  # a number of more digits than Python reads
        problem = Problem(line=None, message=str(error).partition(":")[0])
    except RecursionError:
        problem = Problem(line=None, message="its expressions are nested too deeply to be read")
    return ParsedTemplate(file=file, tree=None, problem=problem)


_TAG = re.compile(r"\{[{%#]")
_FIELD = re.compile(r"(?<!\{)\{[A-Za-z_][\w.\[\]]*(?:![rsa])?(?::[^{}]*)?\}(?!\})")


def _other_engine(file: SourceFile) -> Problem | None:
    """Return a problem for a file that is no template by its name and holds no Jinja: clean would be a guess."""
    if file.name.endswith((".j2", ".jinja", ".jinja2")) or not re.search(r"\.(json|md|txt|ya?ml)$", file.name):
        return None
    if _TAG.search(file.text):
        return None
    field = _FIELD.search(file.text)
    if field is None:
        plain = file.name.endswith((".md", ".txt"))
        return None if plain else Problem(line=None, message="it holds no Jinja, so nothing tells its prompts apart")
    line = file.text.count("\n", 0, field.start()) + 1
    message = f"it holds no Jinja but fields of str.format ({field[0]}), which are not followed"
    return Problem(line=line, message=message)
