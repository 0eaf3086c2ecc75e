"""What the offline script's correctness reviewer sees in Python: errors that vanish, values that surprise, lost tasks.

Decides from the syntax of one file alone; what a name holds at run time and who calls a function is not known here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from agents.offline import rules
from agents.offline.python_source import (
    BLOCKS,
    FUNCTIONS,
    Found,
    FunctionNode,
    PythonSource,
    counted,
    defaults_of,
    is_constant,
    keywords_of,
    names_in,
    own_nodes,
)

MANY_PARAMETERS = 6
DEEP_BLOCKS = 5

_EVERYTHING = frozenset({"BaseException", "builtins.BaseException"})
_ANY_ERROR = frozenset({"Exception", "builtins.Exception"})
_CANCELLED = frozenset({"asyncio.CancelledError", "concurrent.futures.CancelledError"})
_TELLS = frozenset({"exception", "print_exc", "format_exc", "exc_info"})
_MONEY = re.compile(r"(?:^|_)(?:usd|eur|gbp|chf|price|prices|money|salary|fee|fees|refund)(?:_|$)")
_BARE_IGNORE = re.compile(r"#\s*(?:type|pyright|ty):\s*ignore\s*(?:\[[^\]]*\])?\s*$")
_NAIVE_NOW = frozenset({"datetime.datetime.now", "datetime.now"})
_NAIVE_UTC = frozenset({
    f"{prefix}.{name}" for prefix in ("datetime.datetime", "datetime") for name in ("utcnow", "utcfromtimestamp")
})  # fmt: skip
_READ_ONLY = frozenset({"Mapping", "Sequence", "Collection", "Iterable", "AbstractSet"})  # a checker keeps them so
_TASKS = frozenset({"asyncio.create_task", "asyncio.ensure_future", "loop.create_task"})


def check(node: ast.AST, source: PythonSource) -> Iterator[Found]:
    """Yield what is wrong at `node`."""
    match node:
        case ast.Try() | ast.TryStar():
            yield from _handlers(node, source)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from _function(node, source)
        case ast.Call():
            yield from _call(node, source)
        case ast.For():
            yield from _changed_in_loop(node, source)
        case ast.Compare() | ast.BinOp() | ast.Assert():
            yield from _expression(node, source)
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.AnnAssign(target=ast.Attribute(attr=name)):
            yield from _money(name, node.annotation)
        case ast.Module():
            yield from _bare_ignores(source)


def _handlers(node: ast.Try | ast.TryStar, source: PythonSource) -> Iterator[Found]:
    for handler in node.handlers:
        if (rule := _misjudged(handler, node.body, source)) is not None:
            yield Found(rule=rule, line=handler.lineno)


def _misjudged(handler: ast.ExceptHandler, tried: list[ast.stmt], source: PythonSource) -> rules.Rule | None:
    """Return what is wrong with a handler that neither raises nor hands on what it caught."""
    if any(isinstance(item, ast.Raise) for item in own_nodes(handler.body)) or _hands_on(handler):
        return None
    caught = _caught(handler, source)
    if caught & _EVERYTHING:
        return rules.EVERYTHING_CAUGHT
    if caught & _ANY_ERROR:
        if all(isinstance(item, (ast.Pass, ast.Continue)) for item in handler.body):
            return rules.SILENT_EXCEPT
        return None if source.has_reason(handler) else rules.FORGOTTEN_ERROR
    waits_for_the_cancelled = len(tried) == 1 and isinstance(tried[0], ast.Expr)
    return rules.CANCELLATION_KEPT if caught & _CANCELLED and not waits_for_the_cancelled else None


def _caught(handler: ast.ExceptHandler, source: PythonSource) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {source.full_name(item) for item in types}


def _hands_on(handler: ast.ExceptHandler) -> bool:
    """Whether the handler uses the error that it caught, or lets the traceback be written."""
    for node in own_nodes(handler.body):
        if isinstance(node, ast.Name) and node.id == handler.name:
            return True
        if isinstance(node, ast.Attribute) and node.attr in _TELLS:
            return True
        if isinstance(node, ast.keyword) and node.arg == "exc_info":
            return True
    return False


def _function(function: FunctionNode, source: PythonSource) -> Iterator[Found]:
    arguments = function.args
    for argument, default in defaults_of(function):
        read_only = argument.annotation is not None and bool(names_in(argument.annotation) & _READ_ONLY)
        if not read_only and _makes_mutable(default):
            yield Found(rule=rules.MUTABLE_DEFAULT, line=default.lineno)
    yield from _many_parameters(function)
    yield from _deep_blocks(function)
    yield from _lost(function, source)
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        yield from _money(argument.arg, argument.annotation)
    yield from _money(function.name, function.returns)


def _makes_mutable(value: ast.expr) -> bool:
    match value:
        case ast.List() | ast.Dict() | ast.Set() | ast.Call(func=ast.Name(id="list" | "dict" | "set")):
            return True
        case _:
            return False


def _many_parameters(function: FunctionNode) -> Iterator[Found]:
    """Count what callers give by position; what is decorated or `Annotated` a framework calls or fills by name."""
    given = [*function.args.posonlyargs, *function.args.args]
    names = [item.arg for item in given if "Annotated" not in (names_in(item.annotation) if item.annotation else ())]
    number = len([name for name in names if name not in {"self", "cls"}])
    if number >= MANY_PARAMETERS and not function.decorator_list:
        note = f"`{function.name}` takes {number} arguments by position"
        yield Found(rule=rules.MANY_PARAMETERS, line=function.lineno, note=note, weight=number)


def _deep_blocks(function: FunctionNode) -> Iterator[Found]:
    depth, line = max(_depths(function.body, 0), default=(0, function.lineno))
    if depth >= DEEP_BLOCKS:
        note = f"{counted(depth, 'block')} around this line in `{function.name}`"
        yield Found(rule=rules.DEEP_BLOCKS, line=line, note=note, weight=depth)


def _depths(body: list[ast.stmt], depth: int) -> Iterator[tuple[int, int]]:
    """Yield how deep each block below `body` stands, and its line; `elif` stands where its `if` does."""
    for statement in body:
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            continue
        deeper = depth + 1 if isinstance(statement, BLOCKS) else depth
        if deeper > depth:
            yield deeper, statement.lineno
        for name, inner in ast.iter_fields(statement):
            if name == "orelse" and isinstance(statement, ast.If) and len(inner) == 1 and isinstance(inner[0], ast.If):
                yield from _depths(inner, depth)
            elif isinstance(inner, list):
                yield from _depths([item for item in inner if isinstance(item, ast.stmt)], deeper)
                for part in inner:
                    if isinstance(part, (ast.ExceptHandler, ast.match_case)):
                        yield from _depths(part.body, deeper)


def _money(name: str, annotation: ast.expr | None) -> Iterator[Found]:
    if annotation is not None and "float" in names_in(annotation) and _MONEY.search(name.lower()):
        yield Found(rule=rules.FLOAT_MONEY, line=annotation.lineno, note=f"`{name}`")


def _call(call: ast.Call, source: PythonSource) -> Iterator[Found]:
    name = source.called(call)
    keywords = keywords_of(call)
    if name in {"typing.cast", "typing_extensions.cast"} and not source.has_reason(call):
        yield Found(rule=rules.UNCHECKED_TYPE, line=call.lineno)
    if name == "contextlib.suppress" and any(source.full_name(item) in _ANY_ERROR | _EVERYTHING for item in call.args):
        yield Found(rule=rules.SILENT_EXCEPT, line=call.lineno)
    if name in _NAIVE_UTC or (name in _NAIVE_NOW and not call.args and not keywords):
        yield Found(rule=rules.NAIVE_TIME, line=call.lineno)
    if "encoding" not in keywords and _opens_text(call, source):
        yield Found(rule=rules.NO_ENCODING, line=call.lineno)


def _opens_text(call: ast.Call, source: PythonSource) -> bool:
    if source.called(call) in {"open", "io.open"}:
        mode = call.args[1] if len(call.args) > 1 else keywords_of(call).get("mode")
        binary = not isinstance(mode, ast.Constant) or "b" in str(mode.value)
        return len(call.args) < 4 and (mode is None or not binary)
    if not any(known.startswith("pathlib") for known in source.imported.values()):
        return False
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return (method == "read_text" and not call.args) or (method == "write_text" and len(call.args) == 1)


def _lost(function: FunctionNode, source: PythonSource) -> Iterator[Found]:
    """Find tasks that nobody keeps, and errors of tasks that nobody looks at; after `cancel()` none are expected."""
    cancelled = False
    for node in sorted(own_nodes(function.body), key=lambda item: getattr(item, "lineno", 0)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "cancel":
            cancelled = True
        if not isinstance(node, ast.Expr) or source.has_reason(node):
            continue
        if isinstance(node.value, ast.Call) and source.called(node.value) in _TASKS:
            yield Found(rule=rules.LOST_TASK, line=node.lineno)
        if not cancelled and _gathers_errors(node.value, source):
            yield Found(rule=rules.LOST_ERRORS, line=node.lineno)


def _gathers_errors(value: ast.expr, source: PythonSource) -> bool:
    call = value.value if isinstance(value, ast.Await) else value
    if not isinstance(call, ast.Call) or source.called(call) != "asyncio.gather":
        return False
    return is_constant(keywords_of(call).get("return_exceptions"), True)


def _changed_in_loop(loop: ast.For, source: PythonSource) -> Iterator[Found]:
    """Find changes of the list that is walked; one that is followed by leaving the loop does no harm."""
    if not isinstance(loop.iter, ast.Name):
        return
    walked = loop.iter.id
    changing = {f"{walked}.{method}" for method in ("remove", "insert", "pop")}
    for block in _statement_lists(loop):
        if isinstance(block[-1], (ast.Break, ast.Return, ast.Raise)):
            continue
        for statement in block:
            value = getattr(statement, "value", None)
            if isinstance(value, ast.Call) and source.called(value) in changing:
                yield Found(rule=rules.CHANGED_IN_LOOP, line=statement.lineno)


def _statement_lists(loop: ast.For) -> Iterator[list[ast.stmt]]:
    yield loop.body
    for node in own_nodes(loop.body):
        if isinstance(node, (*BLOCKS, ast.ExceptHandler, ast.match_case)):
            for name in ("body", "orelse", "finalbody"):
                if block := getattr(node, name, None):
                    yield block


def _expression(node: ast.Compare | ast.BinOp | ast.Assert, source: PythonSource) -> Iterator[Found]:
    if isinstance(node, ast.Assert):
        yield Found(rule=rules.ASSERT, line=node.lineno)
    elif isinstance(node, ast.Compare):
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, (ast.Eq, ast.NotEq)) and is_constant(right, None):
                yield Found(rule=rules.EQUALS_NONE, line=node.lineno)
    elif isinstance(node.op, ast.Sub) and _is_reading(node.left, source) and isinstance(node.right, ast.Name):
        yield Found(rule=rules.WALL_CLOCK, line=node.lineno)


def _is_reading(node: ast.expr, source: PythonSource) -> bool:
    return isinstance(node, ast.Call) and source.called(node) == "time.time"


def _bare_ignores(source: PythonSource) -> Iterator[Found]:
    for line, comment in source.comments.items():
        if _BARE_IGNORE.search(comment) and line - 1 not in source.alone:
            yield Found(rule=rules.UNCHECKED_TYPE, line=line)
