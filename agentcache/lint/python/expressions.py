"""Python expressions as a template would print them, so that the rules for templates see where a value comes from.

`f"It is {now}."`, with `now = datetime.now()` above it, becomes `It is {{ datetime.now() }}.`: names are followed to
what they were assigned, functions that do nothing but return to what they return, other names of imports to the usual
ones. Decides nothing about what a call means; that is in vocabulary.toml.
"""

from __future__ import annotations

import ast

from jinja2 import Environment, TemplateSyntaxError

from agentcache.lint.python.scopes import Scope

MOST_STEPS = 12
_JINJA = Environment(autoescape=False)  # parses, renders nothing
_VAGUE = frozenset({"name", "role", "title"})
"""In a template these are somebody's; in code that makes agents they are an agent's as likely."""
OPAQUE = "unread_python_value"
"""Stands for what no template could say; it means nothing to any rule."""


def as_template_expression(node: ast.expr, scope: Scope) -> str:
    """Return the expression in Jinja's syntax, on one line; `OPAQUE` where Jinja has none for it.

    Of one that Jinja cannot read as a whole (a comprehension, a lambda) the calls inside it are kept, as a list.
    """
    for parts in ([node], _calls_in(node)):
        texts = [text for part in parts if is_expression(text := _text(part, scope))]
        if texts:
            return texts[0] if parts == [node] else f"[{', '.join(texts)}]"
    return OPAQUE


def is_expression(text: str) -> bool:
    """Tell whether Jinja reads a text as one expression."""
    if any(mark in text for mark in ("{{", "}}", "{%", "%}", "{#", "#}")):
        return False
    try:
        _JINJA.parse("{{ " + text + " }}")
    except TemplateSyntaxError:
        return False
    return True


def _text(node: ast.expr, scope: Scope) -> str:
    return " ".join(ast.unparse(_Followed(scope, MOST_STEPS).visit(_copy(node))).split())


def _copy(node: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(node), mode="eval").body


def _calls_in(node: ast.expr) -> list[ast.expr]:
    """Return the outermost calls and attributes inside an expression."""
    found: list[ast.expr] = []
    pending = list(ast.iter_child_nodes(node))
    while pending:
        part = pending.pop(0)
        if isinstance(part, ast.Call | ast.Attribute):
            found.append(part)
        else:
            pending += ast.iter_child_nodes(part)
    return found


class _Followed(ast.NodeTransformer):
    """Puts in place of names what they stand for."""

    def __init__(self, scope: Scope, steps: int) -> None:
        self._scope = scope
        self._steps = steps

    def visit_Name(self, node: ast.Name) -> ast.expr:  # the name that `ast` calls
        owner = self._scope.owner(node.id)
        if node.id in _VAGUE and (owner is None or node.id not in owner.values):
            return ast.Name(OPAQUE, ctx=ast.Load())
        if owner is None or not self._steps:
            return node
        meaning = owner.imports.get(node.id)
        if meaning is not None:
            renamed = meaning.rpartition(".")[2] != node.id and not meaning.startswith(".")
            return ast.parse(meaning, mode="eval").body if renamed else node
        if node.id in owner.values:
            return self._inside(owner.values[node.id], owner)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:  # the name that `ast` calls
        if self._scope.dotted(node) == "os.environ":
            return ast.Name("environ", ctx=ast.Load())
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:  # the name that `ast` calls
        returned = self._returned(node)
        if returned is not None:
            return returned
        if (self._scope.dotted(node.func) or "").startswith("subprocess.") and _program(node) == "git":
            return ast.Call(func=ast.Name("git_output", ctx=ast.Load()), args=[], keywords=[])
        self.generic_visit(node)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:  # the name that `ast` calls
        """Return a text with braces in it as the sum of its parts."""
        parts = [each.value if isinstance(each, ast.FormattedValue) else each for each in node.values]
        seen = [self.visit(part) for part in parts]
        whole: ast.expr = seen[0] if seen else ast.Constant("")
        for part in seen[1:]:
            whole = ast.BinOp(left=whole, op=ast.Add(), right=part)
        return whole

    def _returned(self, node: ast.Call) -> ast.expr | None:
        """Return what a function of the file returns that needs nothing and does nothing else."""
        if not isinstance(node.func, ast.Name) or node.args or node.keywords or not self._steps:
            return None
        owner = self._scope.owner(node.func.id)
        function = None if owner is None else owner.functions.get(node.func.id)
        if owner is None or function is None or function.decorator_list:
            return None
        body = [each for each in function.body if not _is_docstring(each)]
        if len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value is not None:
            return self._inside(body[0].value, owner)
        return None

    def _inside(self, value: ast.expr, scope: Scope) -> ast.expr:
        found: ast.expr = _Followed(scope, self._steps - 1).visit(_copy(value))
        return found


def _program(node: ast.Call) -> str:
    """Return the program that a call of `subprocess` starts, as far as it is written there."""
    command = node.args[0] if node.args else None
    first = command.elts[0] if isinstance(command, ast.List | ast.Tuple) and command.elts else command
    written = first.value if isinstance(first, ast.Constant) else None
    return written.partition(" ")[0] if isinstance(written, str) else ""


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
