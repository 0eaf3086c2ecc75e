"""What the offline script's security reviewer sees in Python: code from data, text in commands, open doors.

Decides from the syntax of one file alone. Where a value comes from is not followed, and every explanation says so.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from agents.offline import rules
from agents.offline.python_source import (
    Found,
    FunctionNode,
    PythonSource,
    defaults_of,
    is_constant,
    is_text,
    keywords_of,
)
from agents.offline.rules import Rule

_DESERIALISERS = frozenset(
    {f"{module}.{name}" for module in ("pickle", "marshal", "dill", "cloudpickle") for name in ("load", "loads")}
)
_IMPORTS = frozenset({"importlib.import_module", "__import__", "runpy.run_path", "runpy.run_module"})
_WEAK_HASHES = frozenset({"hashlib.md5", "hashlib.sha1"})
_TEMPLATES = frozenset({
    "jinja2.Environment", "jinja2.Template", "jinja2.sandbox.SandboxedEnvironment",
    "jinja2.sandbox.ImmutableSandboxedEnvironment",
})  # fmt: skip
_SQL = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|CREATE|ALTER|DROP|WITH)\s", re.IGNORECASE)
_RUNS_SQL = frozenset({"execute", "executemany", "executescript", "text"})
_BOUND = re.compile(r"(?:^|_)(?:host|hostname|bind|address|addr|listen|interface)(?:_|$)", re.IGNORECASE)
_ANYWHERE = ("0.0.0.0", "::")  # the addresses that this module looks for
_SECRET = re.compile(r"(?:^|_)(?:token|secret|password|passwd|nonce|salt|otp)(?:_|$)", re.IGNORECASE)
_RANDOM = re.compile(r"random\.(?:choices?|randint|randrange|random|sample|getrandbits|randbytes)$")
_SHARED_DIRECTORY = re.compile(r"/(?:var/)?tmp/\w")


def check(node: ast.AST, source: PythonSource) -> Iterator[Found]:
    """Yield what is wrong at `node`."""
    match node:
        case ast.Call():
            keywords = keywords_of(node)
            for rule in (
                *_code_from_data(node, source, keywords),
                *_commands(node, source, keywords),
                *_protection(node, source, keywords),
            ):
                yield Found(rule=rule, line=node.lineno)
        case ast.keyword(arg=str(name), value=value) if _opens_everywhere(name, value):
            yield Found(rule=rules.OPEN_BIND, line=value.lineno)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from _defaults(node)
        case ast.Assign() | ast.AnnAssign():
            yield from _assigned(node, source)
        case ast.Constant(value=str(text)) if _SHARED_DIRECTORY.match(text):
            yield Found(rule=rules.SHARED_DIRECTORY, line=node.lineno)


def _code_from_data(call: ast.Call, source: PythonSource, keywords: Mapping[str, ast.expr]) -> Iterator[Rule]:
    name = source.called(call)
    varies = bool(call.args) and not isinstance(call.args[0], ast.Constant)
    if name in {"eval", "exec"} and varies:
        yield rules.EVAL
    if name in _DESERIALISERS or (name == "yaml.load" and "Loader" not in keywords and len(call.args) < 2):
        yield rules.PICKLE
    if (name in _IMPORTS and varies) or name.endswith(".exec_module"):
        yield rules.DYNAMIC_IMPORT
    if name.endswith(".run") and is_constant(keywords.get("debug"), True) and not name.startswith("asyncio."):
        yield rules.DEBUG_SERVER


def _commands(call: ast.Call, source: PythonSource, keywords: Mapping[str, ast.expr]) -> Iterator[Rule]:
    name = source.called(call)
    first = call.args[0] if call.args else None
    if name in {"os.system", "os.popen"} and first is not None and not isinstance(first, ast.Constant):
        yield rules.SHELL
    if name == "asyncio.create_subprocess_shell" and not isinstance(first, ast.Constant):
        yield rules.SHELL
    if name.startswith("subprocess.") and is_constant(keywords.get("shell"), True):
        yield rules.SHELL
    method = call.func.attr if isinstance(call.func, ast.Attribute) else name.rpartition(".")[2]
    if method in _RUNS_SQL and first is not None and _is_assembled_sql(first):
        yield rules.SQL_TEXT


def _is_assembled_sql(text: ast.expr) -> bool:
    """Whether SQL is put together from values; constants in capitals and formatted numbers are no values."""
    match text:
        case ast.JoinedStr(values=[ast.Constant(value=str(begin)), *rest]):
            values = (part for part in rest if isinstance(part, ast.FormattedValue))
            return bool(_SQL.match(begin)) and any(_is_value(part) for part in values)
        case ast.BinOp(op=ast.Add() | ast.Mod(), left=ast.Constant(value=str(begin))):
            return bool(_SQL.match(begin))
        case ast.Call(func=ast.Attribute(attr="format", value=ast.Constant(value=str(begin)))):
            return bool(_SQL.match(begin))
        case _:
            return False


def _is_value(part: ast.FormattedValue) -> bool:
    constant = isinstance(part.value, ast.Name) and part.value.id.isupper()
    return not constant and part.format_spec is None


def _protection(call: ast.Call, source: PythonSource, keywords: Mapping[str, ast.expr]) -> Iterator[Rule]:
    name = source.called(call)
    if is_constant(keywords.get("verify"), False) or name == "ssl._create_unverified_context":
        yield rules.UNVERIFIED
    if name == "tempfile.mktemp":
        yield rules.MKTEMP
    if name in _WEAK_HASHES and "usedforsecurity" not in keywords:
        yield rules.WEAK_HASH
    if name in _TEMPLATES and "autoescape" not in keywords:
        yield rules.UNESCAPED_TEMPLATE
    if name.endswith("tar.extractall") and not {"filter", "members"} & keywords.keys():
        yield rules.UNPACKED
    if name in {"request.body", "request.json", "request.form"} and not source.has_reason(call):
        yield rules.UNBOUNDED_BODY
    if name == "re.compile" and call.args and _is_assembled_pattern(call.args[0], source):
        yield rules.ASSEMBLED_PATTERN


def _is_assembled_pattern(text: ast.expr, source: PythonSource) -> bool:
    """Whether a pattern holds text that is neither escaped nor, by its capitals, a constant."""
    parts = text.values if isinstance(text, ast.JoinedStr) else []
    values = [part.value for part in parts if isinstance(part, ast.FormattedValue)]
    names = [source.full_name(value).rpartition(".")[2] for value in values]
    return any(not name.isupper() and not _escapes(value, source) for name, value in zip(names, values, strict=True))


def _escapes(value: ast.expr, source: PythonSource) -> bool:
    names = (source.full_name(item) for item in ast.walk(value) if isinstance(item, (ast.Name, ast.Attribute)))
    return "re.escape" in names


def _opens_everywhere(name: str, value: ast.expr | None) -> bool:
    return bool(_BOUND.search(name)) and any(is_constant(value, address) for address in _ANYWHERE)


def _defaults(function: FunctionNode) -> Iterator[Found]:
    for argument, default in defaults_of(function):
        if _opens_everywhere(argument.arg, default):
            yield Found(rule=rules.OPEN_BIND, line=default.lineno)


def _assigned(node: ast.Assign | ast.AnnAssign, source: PythonSource) -> Iterator[Found]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = [source.full_name(target).rpartition(".")[2] for target in targets]
    if any(_opens_everywhere(name, node.value) for name in names):
        yield Found(rule=rules.OPEN_BIND, line=node.lineno)
    if any(_SECRET.search(name) for name in names) and node.value is not None and not is_text(node.value):
        made = (item for item in ast.walk(node.value) if isinstance(item, ast.Call))
        if any(_RANDOM.match(source.called(item)) for item in made):
            yield Found(rule=rules.GUESSABLE, line=node.lineno)
