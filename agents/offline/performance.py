"""What the offline script's performance reviewer sees in Python: work that repeats, waits in a row, growing memory.

Decides from the syntax of one file alone. How often a loop turns and how long a list is are not known here.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from typing import TypeGuard

from agents.offline import rules
from agents.offline.python_source import (
    COMPREHENSIONS,
    FUNCTIONS,
    LOOPS,
    ComprehensionNode,
    Found,
    FunctionNode,
    LoopNode,
    PythonSource,
    is_constant,
    is_text,
    keywords_of,
    names_in,
    own_nodes,
    repeated_nodes,
)
from agents.offline.rules import Rule

_BLOCKING = frozenset({
    "time.sleep", "urllib.request.urlopen", "socket.create_connection", "subprocess.run", "subprocess.call",
    "subprocess.check_call", "subprocess.check_output", "os.system",
    *(f"{module}.{verb}" for module in ("requests", "httpx") for verb in ("get", "post", "put", "patch", "delete")),
})  # fmt: skip
_FILE_METHODS = frozenset({"read_text", "write_text", "read_bytes", "write_bytes"})
_NO_TIMEOUT = frozenset({
    "urllib.request.urlopen", "socket.create_connection", "smtplib.SMTP", "smtplib.SMTP_SSL", "ftplib.FTP",
    *(f"requests.{verb}" for verb in ("get", "post", "put", "patch", "delete", "head", "request")),
})  # fmt: skip
_SMALL = 10


def check(node: ast.AST, source: PythonSource) -> Iterator[Found]:
    """Yield what is wrong at `node`."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from _lists_searched(node)
            yield from _copied_in_loops(node)
            yield from _kept_for_ever(node, source)
            if isinstance(node, ast.AsyncFunctionDef):
                yield from _blocking(node, source)
        case ast.For() | ast.AsyncFor() | ast.While():
            yield from _repeated(node, source)
            if isinstance(node, ast.For):
                yield from _walked_again(node, source)
                yield from _waits_in_a_row(node)
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            yield from _repeated(node, source)
            yield from _scans(node)
            if isinstance(node, ast.ListComp) and isinstance(node.elt, ast.Await) and not _comes_one_by_one(node):
                yield Found(rule=rules.WAITS_IN_A_ROW, line=node.elt.lineno)
        case ast.Call():
            if source.called(node) in _NO_TIMEOUT and "timeout" not in keywords_of(node) and len(node.args) < 3:
                yield Found(rule=rules.NO_TIMEOUT, line=node.lineno)
        case ast.Module():
            yield from _caches(node)


def _comes_one_by_one(made: ast.ListComp) -> bool:
    """Whether an `async for` hands the values out, so that the waits cannot begin together."""
    return any(part.is_async for part in made.generators)


def _walked_again(loop: ast.For, source: PythonSource) -> Iterator[Found]:
    if not isinstance(loop.iter, ast.Name):
        return
    walked = loop.iter.id
    for inner in repeated_nodes(loop):
        if isinstance(inner, ast.For) and isinstance(inner.iter, ast.Name) and inner.iter.id == walked:
            yield Found(rule=rules.NESTED_LOOP, line=inner.lineno)
        if isinstance(inner, ast.Call) and source.called(inner) in {f"{walked}.index", f"{walked}.count"}:
            yield Found(rule=rules.SEARCHED_IN_LOOP, line=inner.lineno)


def _scans(made: ComprehensionNode) -> Iterator[Found]:
    yield from _scanned(names_in(made.generators[0].target), repeated_nodes(made))


def _repeated(loop: LoopNode | ComprehensionNode, source: PythonSource) -> Iterator[Found]:
    repeated = list(repeated_nodes(loop))
    changing = _stored(repeated) | names_in(_target(loop))
    for node in repeated:
        if isinstance(node, ast.Call):
            yield from (Found(rule=rule, line=node.lineno) for rule in _repeated_call(node, source, changing))
    if isinstance(loop, (ast.For, ast.AsyncFor)):
        yield from _scanned(names_in(loop.target), repeated)


def _repeated_call(call: ast.Call, source: PythonSource, changing: set[str]) -> Iterator[Rule]:
    name = source.called(call)
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    first = call.args[0] if call.args else None
    if name == "re.compile" and not names_in(call) & changing:
        yield rules.PATTERN_IN_LOOP
    at_front = {"pop": 1, "insert": 2}.get(method) == len(call.args) and is_constant(first, 0)
    if at_front and not name.startswith("sys.path."):
        yield rules.FRONT_OF_LIST
    if method in {"execute", "executemany"} and isinstance(first, ast.Constant) and _reads_rows(first):
        yield rules.QUERY_IN_LOOP


def _stored(nodes: Iterable[ast.AST]) -> set[str]:
    return {item.id for item in nodes if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)}


def _target(loop: LoopNode | ComprehensionNode) -> ast.expr:
    """Return what a loop assigns in each turn; `while` assigns nothing of its own, so its condition stands in."""
    if isinstance(loop, (ast.For, ast.AsyncFor)):
        return loop.target
    return loop.test if isinstance(loop, ast.While) else loop.generators[0].target


def _reads_rows(text: ast.Constant) -> bool:
    return isinstance(text.value, str) and text.value.lstrip()[:6].upper() in {"SELECT", "INSERT", "UPDATE", "DELETE"}


def _scanned(turning: set[str], repeated: Iterable[ast.AST]) -> Iterator[Found]:
    """Find collections that are walked to their end in every turn, to find what equals something of this turn."""
    for node in repeated:
        if not isinstance(node, COMPREHENSIONS):
            continue
        inner = node.generators[0]
        own = names_in(inner.target)
        if not isinstance(inner.iter, (ast.Name, ast.Attribute)) or names_in(inner.iter) & turning:
            continue
        if any(_joins(condition, own, turning) for condition in inner.ifs):
            yield Found(rule=rules.SCANNED_IN_LOOP, line=node.lineno)


def _joins(condition: ast.expr, own: set[str], turning: set[str]) -> bool:
    """Whether `condition` is `ours == theirs`, one side of each loop."""
    if not isinstance(condition, ast.Compare) or not isinstance(condition.ops[0], ast.Eq) or len(condition.ops) > 1:
        return False
    sides = [names_in(condition.left), names_in(condition.comparators[0])]
    return any(one & own and other & turning for one, other in (sides, sides[::-1]))


def _lists_searched(function: FunctionNode) -> Iterator[Found]:
    """Find `in` on a name that only ever holds a list, inside a loop; a short literal list costs nothing."""
    lists = _list_names(function)
    for loop in own_nodes(function.body):
        if not isinstance(loop, (*LOOPS, *COMPREHENSIONS)):
            continue
        repeated = list(repeated_nodes(loop))
        fresh = _stored(repeated)
        for node in repeated:
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
                sought = node.comparators[0]
                if isinstance(sought, ast.Name) and sought.id in lists - fresh:
                    yield Found(rule=rules.LIST_SEARCHED, line=node.lineno, note=f"`{sought.id}`")


def _list_names(function: FunctionNode) -> set[str]:
    lists: set[str] = set()
    others: set[str] = set()
    for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs):
        (lists if _is_list_type(argument.annotation) else others).add(argument.arg)
    for node in own_nodes(function.body):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    (lists if _makes_list(node.value) else others).add(target.id)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            (lists if _is_list_type(node.annotation) else others).add(node.target.id)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            others.update(names_in(node.target))
    return lists - others


def _is_list_type(annotation: ast.expr | None) -> bool:
    outer = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return isinstance(outer, ast.Name) and outer.id in {"list", "List"}


def _makes_list(value: ast.expr) -> bool:
    if isinstance(value, ast.List):
        return not value.elts or len(value.elts) > _SMALL or not all(isinstance(e, ast.Constant) for e in value.elts)
    called = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
    return isinstance(value, ast.ListComp) or called in {"list", "sorted"}


def _copied_in_loops(function: FunctionNode) -> Iterator[Found]:
    """Find values that are built by copying all of what was built before."""
    texts = {
        target.id
        for node in own_nodes(function.body)
        if isinstance(node, ast.Assign) and is_text(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for loop in own_nodes(function.body):
        if not isinstance(loop, LOOPS):
            continue
        for node in repeated_nodes(loop):
            if _extends(node, texts):
                yield Found(rule=rules.COPIED_IN_LOOP, line=node.lineno)


def _extends(node: ast.AST, texts: Collection[str]) -> TypeGuard[ast.stmt]:
    """Whether `node` makes a longer copy of a name: `text += ...`, `name = name + [...]`, `name = {**name, ...}`."""
    match node:
        case ast.AugAssign(op=ast.Add(), target=ast.Name(id=name)):
            return not isinstance(node.value, ast.Constant) and (name in texts or isinstance(node.value, ast.Tuple))
        case ast.Assign(
            targets=[ast.Name(id=name)], value=ast.BinOp(op=ast.Add(), left=ast.Name(id=copied), right=end)
        ):
            return copied == name and isinstance(end, (ast.List, ast.Tuple))
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.List(elts=[ast.Starred(value=copy), _, *_])):
            return isinstance(copy, ast.Name) and copy.id == name
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys=[None, _, *_], values=[copy, *_])):
            return isinstance(copy, ast.Name) and copy.id == name
        case _:
            return False


def _kept_for_ever(function: FunctionNode, source: PythonSource) -> Iterator[Found]:
    """Find result caches without a bound on functions with arguments; without arguments there is one result."""
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    if not given and arguments.vararg is None and arguments.kwarg is None:
        return
    for decorator in function.decorator_list:
        called = decorator if isinstance(decorator, ast.Call) else None
        name = source.full_name(called.func if called else decorator)
        sizes = [*called.args[:1], *([keywords_of(called).get("maxsize")] if called else [])] if called else []
        if name == "functools.cache" or (name == "functools.lru_cache" and any(is_constant(s, None) for s in sizes)):
            yield Found(rule=rules.UNBOUNDED_CACHE, line=decorator.lineno, note=f"`{function.name}`")


def _blocking(function: ast.AsyncFunctionDef, source: PythonSource) -> Iterator[Found]:
    nodes = list(own_nodes(function.body))
    awaited = {node.value for node in nodes if isinstance(node, ast.Await)}
    for node in nodes:
        if not isinstance(node, ast.Call) or node in awaited:
            continue
        name = source.called(node)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name in _BLOCKING:
            yield Found(rule=rules.BLOCKING, line=node.lineno, note=f"`{name}`")
        elif name in {"open", "io.open"} or method in _FILE_METHODS:
            yield Found(rule=rules.BLOCKING_FILE, line=node.lineno, note=f"`{name or method}`")


def _waits_in_a_row(loop: ast.For) -> Iterator[Found]:
    """Find `for ...: results.append(await one(...))`: no wait needs the result of another."""
    match loop.body:
        case [ast.Expr(value=ast.Call(func=ast.Attribute(attr="append"), args=[ast.Await() as waits]))]:
            yield Found(rule=rules.WAITS_IN_A_ROW, line=waits.lineno)


def _caches(module: ast.Module) -> Iterator[Found]:
    """Find dictionaries of a module or class that one function looks up and fills, and that nothing ever empties."""
    classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
    statements = [*module.body, *(node for item in classes for node in item.body)]
    kept = dict(item for statement in statements for item in _empty_dictionaries(statement))
    functions = [list(own_nodes(node.body)) for node in ast.walk(module) if isinstance(node, FUNCTIONS)] if kept else []
    for name, line in kept.items():
        uses = [{use for node in nodes for use in _uses(node, name)} for nodes in functions]
        if any({"fills", "looks up"} <= used for used in uses) and not any("empties" in used for used in uses):
            yield Found(rule=rules.UNBOUNDED_CACHE, line=line, note=f"`{name}`")


def _empty_dictionaries(node: ast.stmt) -> Iterator[tuple[str, int]]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys=[])):
            yield name, node.lineno
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(keys=[])):
            yield name, node.lineno


def _uses(node: ast.AST, name: str) -> Iterator[str]:
    def is_it(value: ast.expr) -> bool:
        return name in {getattr(value, "id", None), getattr(value, "attr", None)}

    match node:
        case ast.Subscript(value=value, ctx=ast.Store()) if is_it(value):
            yield "fills"
        case ast.Call(func=ast.Attribute(value=value, attr="get")) if is_it(value):
            yield "looks up"
        case ast.Compare(comparators=[value], ops=[ast.In() | ast.NotIn()]) if is_it(value):
            yield "looks up"
        case ast.Call(func=ast.Attribute(value=value, attr="pop" | "popitem" | "clear")) if is_it(value):
            yield "empties"
        case ast.Subscript(value=value, ctx=ast.Del()) if is_it(value):
            yield "empties"
        case ast.Name(id=own, ctx=ast.Store()) if own == name:  # bound anew, or a variable of the function's own
            yield "empties"
