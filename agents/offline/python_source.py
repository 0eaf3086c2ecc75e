"""One Python file as the offline script's checks see it: parsed once, names resolved, comments kept.

This module decides what a check may ask about a file: its nodes, under which full name something is called, what a
function runs itself and what a loop runs again and again. It judges nothing and reads no file; text comes in.
"""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from agents.offline.rules import Rule

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
LoopNode: TypeAlias = ast.For | ast.AsyncFor | ast.While
ComprehensionNode: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
BlockNode: TypeAlias = ast.If | LoopNode | ast.With | ast.AsyncWith | ast.Try | ast.TryStar | ast.Match

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
BLOCKS = (ast.If, *LOOPS, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)

_RUN_LATER = (*FUNCTIONS, ast.Lambda, ast.ClassDef)
_UNCHECKED = (ast.Name, ast.Attribute, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.alias)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One rule at one line. `note` is what was counted there, `weight` how much of it: the most stands first."""

    rule: Rule
    line: int
    note: str = ""
    weight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSource:
    """One parsed file.

    `comments` are by line, and those in `alone` have the line for themselves; `imported` is from the name used here
    to the full one.
    """

    tree: ast.Module
    nodes: tuple[ast.AST, ...]
    comments: Mapping[int, str]
    alone: frozenset[int]
    imported: Mapping[str, str]

    def full_name(self, node: ast.expr) -> str:
        """Return the dotted name of `node` as its module would say it, empty when it is no plain name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        return ".".join([self.imported.get(node.id, node.id), *reversed(parts)]) if isinstance(node, ast.Name) else ""

    def called(self, call: ast.Call) -> str:
        """Return the full name of what is called, empty when it is no plain name."""
        return self.full_name(call.func)

    def has_reason(self, node: ast.expr | ast.stmt | ast.ExceptHandler) -> bool:
        """Whether a comment stands on the lines of `node` (a handler's first line), or alone on the line above."""
        last = node.lineno if isinstance(node, ast.ExceptHandler) else node.end_lineno or node.lineno
        return node.lineno - 1 in self.alone or any(line in self.comments for line in range(node.lineno, last + 1))


@lru_cache(maxsize=256)  # four roles ask about the same files
def read_python(text: str) -> PythonSource:
    """Return `text` parsed. Raises what the parser of this Python raises: `SyntaxError`, seldom something else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the parser thinks of the file's escapes is not our reader's concern
        tree = ast.parse(text)
    nodes = tuple(node for node in ast.walk(tree) if not isinstance(node, _UNCHECKED))
    found = list(_comments(text))
    return PythonSource(
        tree=tree,
        nodes=nodes,
        comments={token.start[0]: token.string for token in found},
        alone=frozenset(token.start[0] for token in found if token.line.lstrip().startswith("#")),
        imported=_imported(tree),
    )


def _comments(text: str) -> Iterator[tokenize.TokenInfo]:
    """Yield the comments of a text that parses, up to the first line that the stricter tokenizer refuses."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token
    except (tokenize.TokenError, SyntaxError):
        return


def _imported(tree: ast.Module) -> Mapping[str, str]:
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update((alias.asname, alias.name) for alias in node.names if alias.asname)
            names.update((top, top) for alias in node.names if (top := alias.name.split(".")[0]) and not alias.asname)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names.update((alias.asname or alias.name, f"{module}.{alias.name}") for alias in node.names)
    return names


def own_nodes(parts: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield `parts` and all that runs with them: not what stands inside functions and classes that they define."""
    for part in parts:
        yield part
        if not isinstance(part, _RUN_LATER):
            yield from own_nodes(ast.iter_child_nodes(part))


def repeated_nodes(loop: LoopNode | ComprehensionNode) -> Iterator[ast.AST]:
    """Yield what runs once for each turn of `loop`."""
    if isinstance(loop, (ast.For, ast.AsyncFor)):
        return own_nodes(loop.body)
    if isinstance(loop, ast.While):
        return own_nodes([loop.test, *loop.body])
    first, *later = loop.generators
    made = [loop.key, loop.value] if isinstance(loop, ast.DictComp) else [loop.elt]
    return own_nodes([*first.ifs, *later, *made])


def names_in(node: ast.AST) -> set[str]:
    """Return the plain names that stand in `node`."""
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}


def keywords_of(call: ast.Call) -> dict[str, ast.expr]:
    """Return the arguments of `call` that are given by name."""
    return {item.arg: item.value for item in call.keywords if item.arg}


def is_constant(node: ast.expr | None, value: object) -> bool:
    """Whether `node` is the literal `value` and of its type."""
    return isinstance(node, ast.Constant) and type(node.value) is type(value) and node.value == value


def is_text(node: ast.expr | None) -> bool:
    """Whether `node` is a literal text or an f-string."""
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def defaults_of(function: FunctionNode) -> Iterator[tuple[ast.arg, ast.expr]]:
    """Yield the arguments of `function` that have a default value, each with it."""
    arguments = function.args
    by_position = [*arguments.posonlyargs, *arguments.args]
    with_default = by_position[len(by_position) - len(arguments.defaults) :]
    yield from zip(with_default, arguments.defaults, strict=True)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            yield argument, default


def branches_of(function: FunctionNode) -> int:
    """Return how many times `function` itself decides: conditions, loops, handlers, cases, each part of and/or."""
    return sum(_decisions(node) for node in own_nodes(function.body))


def _decisions(node: ast.AST) -> int:
    if isinstance(node, (ast.If, ast.IfExp, *LOOPS, ast.ExceptHandler, ast.match_case)):
        return 1
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    return len(node.ifs) if isinstance(node, ast.comprehension) else 0


def raises_of(function: FunctionNode) -> int:
    """Return how many `raise` statements `function` itself has."""
    return sum(isinstance(node, ast.Raise) for node in own_nodes(function.body))


def length_of(function: FunctionNode) -> int:
    """Return how many lines `function` takes, decorators left out."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return `number` with the noun that fits it."""
    return f"{number} {one if number == 1 else many or one + 's'}"
