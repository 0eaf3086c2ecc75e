"""The repository's own guards: what no linter checks and every change must keep.

They read the files that git knows or would take in, so that they bite before a commit as well as after it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import agentcache
from agentcache.stores.opening import open_ledger

ROOT = Path(__file__).parents[1]
MAX_LINES = 400
MEANINGLESS_NAMES = {"base", "common", "core", "helper", "helpers", "manager", "misc", "util", "utils"}
SLOW_TO_IMPORT = ("anthropic", "httpx2", "sqlalchemy", "starlette", "uvicorn")
DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _tracked() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return _found()
    return [path for name in sorted(listing.split("\0")) if name and (path := ROOT / name).is_file()]


def _found() -> list[Path]:
    """Return the files of a copy that is no git checkout; tools leave theirs under names with a dot."""
    paths = {path: path.relative_to(ROOT).parts for path in sorted(ROOT.rglob("*")) if path.is_file()}
    made = {"__pycache__", "build", "dist"}
    hidden = {path for path, parts in paths.items() if made & {*parts} or any(part.startswith(".") for part in parts)}
    return [path for path in paths if path not in hidden]


TRACKED = _tracked()
PYTHON = [path for path in TRACKED if path.suffix == ".py"]
PACKAGE = [path for path in PYTHON if path.relative_to(ROOT).parts[0] == "agentcache"]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


@cache
def _nodes(source: str) -> list[ast.AST]:
    return list(ast.walk(_parsed(source)))


def _tree(path: Path) -> ast.Module:
    return _parsed(path.read_text(encoding="utf-8"))


def _nodes_of(path: Path) -> list[ast.AST]:
    return _nodes(path.read_text(encoding="utf-8"))


def test_the_guards_see_the_repository() -> None:
    assert ROOT / "tests" / "test_repository.py" in PYTHON
    assert ROOT / "agentcache" / "errors.py" in PACKAGE


def test_no_file_holds_two_ideas() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    parts = {_name(path): {*path.relative_to(ROOT).with_suffix("").parts} for path in PYTHON}
    assert {name for name, words in parts.items() if words & MEANINGLESS_NAMES} == set()


def _undocumented(node: ast.Module | DEFINITION, name: str) -> Iterator[str]:
    if ast.get_docstring(node) is None:
        yield name
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for child in node.body:
        if isinstance(child, DEFINITION) and not child.name.startswith("_") and not _is_overload(child):
            yield from _undocumented(child, f"{name}:{child.name}")


def _is_overload(node: DEFINITION) -> bool:
    return any(ast.unparse(decorator).endswith(("overload", ".setter")) for decorator in node.decorator_list)


def test_every_module_and_public_name_is_documented() -> None:
    assert [name for path in PACKAGE for name in _undocumented(_tree(path), _name(path))] == []


def test_every_name_that_the_package_imports_is_public() -> None:
    [block] = [node for node in _tree(ROOT / "agentcache" / "__init__.py").body if isinstance(node, ast.If)]
    imported = {
        alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }

    assert imported.keys() == set(agentcache.__all__)  # that they are sorted is ruff's to see (RUF022)
    assert imported == agentcache._HOME
    assert [name for name in agentcache.__all__ if not hasattr(agentcache, name)] == []


def test_the_name_workflow_is_the_decorator_whatever_was_imported_before() -> None:
    room = _printed("import agentcache.workflow.runtime; from agentcache import workflow; print(workflow.__module__)")
    name = _printed("from agentcache import workflow; import agentcache.workflow.run; print(workflow.__module__)")
    kept = _printed("from agentcache import workflow; import agentcache; print(agentcache.workflow is workflow)")

    assert (room, name, kept) == ("agentcache.workflow.run", "agentcache.workflow.run", "True")


def _printed(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def test_a_name_that_is_not_public_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'agentcache' has no attribute 'agent_of_change'"):
        getattr(agentcache, "agent_of_" + "change")
    assert set(agentcache.__all__) <= set(dir(agentcache))


def _writes_cache_control(node: ast.AST) -> bool:
    match node:
        case ast.Dict(keys=keys):
            return any(isinstance(key, ast.Constant) and key.value == "cache_control" for key in keys)
        case ast.Subscript(slice=ast.Constant(value="cache_control"), ctx=ast.Store()):
            return True
        case ast.keyword(arg="cache_control"):
            return True
        case ast.Call(func=ast.Attribute(attr="setdefault"), args=[ast.Constant(value="cache_control"), *_]):
            return True
        case _:
            return False


def test_cache_control_is_written_in_one_place() -> None:
    writers = {
        _name(path)
        for path in PYTHON
        if path.relative_to(ROOT).parts[0] in {"agentcache", "agents"}
        and any(_writes_cache_control(node) for node in _nodes_of(path))
    }
    assert writers == {"agentcache/prompt/wire.py"}


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ('block = {"cache_control": mark}', True),
        ('block["cache_control"] = mark', True),
        ("block = dict(text=text, cache_control=mark)", True),
        ('block.setdefault("cache_control", mark)', True),
        ('mark = block["cache_control"]', False),
        ('found = "cache_control" in block', False),
    ],
)
def test_the_guard_tells_writing_from_reading(source: str, written: bool) -> None:
    assert any(_writes_cache_control(node) for node in ast.walk(ast.parse(source))) is written


def _silent_imports(source: str) -> list[int]:
    """Return the lines of imports inside functions that carry no comment, neither behind nor above their block."""
    lines = source.splitlines()
    functions = [node for node in _nodes(source) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    silent = set()
    for node in (inner for function in functions for inner in ast.walk(function)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            first = node.lineno - 1
            while lines[first - 1].lstrip().startswith(("import ", "from ")):
                first -= 1
            if not any("#" in line for line in lines[first - 1 : node.end_lineno]):
                silent.add(node.lineno)
    return sorted(silent)


def test_imports_inside_functions_carry_their_reason() -> None:
    silent = {_name(path): found for path in PACKAGE if (found := _silent_imports(path.read_text(encoding="utf-8")))}
    assert silent == {}


def test_the_guard_sees_an_import_without_a_reason() -> None:
    assert _silent_imports("def f():\n    import os\n") == [2]
    assert _silent_imports("def f():\n    # Start-up time.\n    import os\n    import re\n") == []
    assert _silent_imports("def f():\n    import os  # an optional extra\n") == []


def test_teams_and_examples_use_public_names_only() -> None:
    deeper = [
        f"{_name(path)}: {name}"
        for path in PYTHON
        if path.relative_to(ROOT).parts[0] in {"agents", "examples"}
        for node in _nodes_of(path)
        for name in _imported_modules(node)
        if name.startswith("agentcache.") and not name.startswith(("agentcache.testing", "agentcache.tools"))
    ]
    assert deeper == []


def _imported_modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|farm|root)/")
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|deb\.debian\.org|https?://\S+/(?:simple|packages)/"
)


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY], ids=["machine path", "registry"])
def test_no_file_names_a_machine_or_a_registry(pattern: re.Pattern[str]) -> None:
    found = []
    for path in TRACKED:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # binary files name nothing that pip or a reader would follow
        found += [f"{_name(path)}: {match.group()}" for match in pattern.finditer(text)]
    assert found == []


def test_the_pins_are_names_and_numbers_only() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==\d[\w.]*", pin)] == []
    assert pins == sorted(pins)


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {_import_name(requirement) for requirement in project["dependencies"]}
    optional = {_import_name(item) for extra in project["optional-dependencies"].values() for item in extra}
    modules = {name.split(".")[0] for path in PACKAGE for node in _nodes_of(path) for name in _imported_modules(node)}
    foreign = modules - sys.stdlib_module_names - {"agentcache", "pydantic_core"}

    # SQLAlchemy loads its driver by name, and pydantic pins pydantic_core.
    assert foreign - optional == declared


IMPORTED_AS = {"vl_convert_python": "vl_convert"}
"""Distributions whose package has another name."""


def _import_name(requirement: str) -> str:
    name = re.split(r"[<>=\[~! ]", requirement)[0].lower().replace("-", "_")
    # OpenTelemetry is one package from several distributions.
    return "opentelemetry" if name.startswith("opentelemetry_") else IMPORTED_AS.get(name, name)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return directory


def test_the_source_archive_holds_what_the_wheel_is_built_from_and_what_people_read(built: Path) -> None:
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        tops = {name.split("/")[1] for name in files.getnames()}
    read = {"docs", "CHANGELOG.md", "LICENSE", "README.md"}
    assert tops == {"agentcache", "pyproject.toml", "PKG-INFO", ".gitignore"} | read


def test_the_wheel_holds_the_package_its_licence_and_nothing_else(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"agentcache"}
    assert {"agentcache/py.typed", "agentcache/prompt/model_facts.toml", "agentcache/report/page.html.jinja"} <= set(
        names
    )
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]


def _modules_after(statement: str, *arguments: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", program, *arguments]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stderr.split())


def test_importing_the_package_loads_nothing_slow() -> None:
    loaded = _modules_after("import agentcache")
    assert loaded & {*SLOW_TO_IMPORT, "pydantic", "rich", "typer"} == set()


def test_importing_the_built_in_tools_loads_nothing_slow() -> None:
    assert _modules_after("import agentcache.tools") & {*SLOW_TO_IMPORT, "rich", "typer"} == set()


@pytest.mark.parametrize(
    "words", [["--help"], ["lint", "prompts"], ["rule", "PC001"], ["rules"]], ids=lambda words: words[0]
)
def test_commands_that_need_little_load_nothing_slow(words: list[str]) -> None:
    statement = "from agentcache.cli import main\ntry: main()\nexcept SystemExit: pass"
    loaded = _modules_after(statement, *words)
    assert "typer" in loaded
    assert loaded & {*SLOW_TO_IMPORT, "asyncio", "pydantic", "rich"} == set()


async def test_a_report_on_a_file_loads_neither_the_sdk_nor_what_only_a_server_needs(tmp_path: Path) -> None:
    ledger = await open_ledger(f"{tmp_path}/ledger.db")
    await ledger.close()
    statement = "from agentcache.cli import main\ntry: main()\nexcept SystemExit: pass"
    loaded = _modules_after(statement, "report", "--db", f"{tmp_path}/ledger.db")
    assert "sqlalchemy" in loaded
    unneeded = {"anthropic", "httpx2", "jinja2", "pydantic", "sqlalchemy.ext.asyncio", "sqlalchemy.orm"}
    assert loaded & unneeded == set()
