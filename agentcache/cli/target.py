"""Find what a command was asked to work on: `module:name` or `file.py:name`.

Decides how a target's text becomes a Python object: what goes on `sys.path`, under which name a file is imported,
and what to say when it cannot be. It does not run anything beyond the import.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import TypeAlias, cast

from agentcache.cli.failures import authors_place
from agentcache.emulator.replies import Replies, Script, ScriptedReply
from agentcache.errors import AgentCacheError, TargetError
from agentcache.runtime.agent import Agent
from agentcache.runtime.team import Team
from agentcache.workflow.run import Workflow

Answering: TypeAlias = Replies | Script | Iterable[ScriptedReply | Script]
"""What may answer in the model's place."""
_STARTED = 'importing it starts its program, so put the line with `asyncio.run` under `if __name__ == "__main__":`'


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was found under `text`, and the module that it lives in."""

    text: str
    module: ModuleType
    value: object


def not_runnable(target: Target) -> TargetError:
    """Return the error for a target that is neither an agent nor a workflow."""
    remedy = "; decorate it with @workflow" if callable(target.value) else _defines(target.module)
    kind = type(target.value).__name__
    return TargetError(f"target {target.text!r} is of type {kind}, not an Agent or a workflow{remedy}")


def load_agents(text: str) -> list[Agent[object]]:
    """Return the agents that `text` names; raises `TargetError` like `load_target` and `agents_of`."""
    return agents_of(load_target(text))


def agents_of(target: Target) -> list[Agent[object]]:
    """Return the agents of a target: itself, those of a workflow's or a team's module, or what a function returns.

    Raises `TargetError` when no agent comes of it.
    """
    value, text = target.value, target.text
    if isinstance(value, Agent):
        return [value]
    if isinstance(value, Workflow | Team):
        found = list({id(each): each for each in vars(target.module).values() if isinstance(each, Agent)}.values())
        if isinstance(value, Team):
            found = [agent for agent in found if value.leads(agent)]
        if found:
            return found
        kind, none = ("team", "agent of it") if isinstance(value, Team) else ("workflow", "agents")
        raise TargetError(f"{text!r} is a {kind}, and its module defines no {none}; name a function that returns one")
    made = _made(value, text)
    if not isinstance(made, Agent):
        raise TargetError(f"target {text!r} gives a {type(made).__name__}, not an Agent{_defines(target.module)}")
    return [made]


def agents_in_file(path: str) -> list[Agent[object]]:
    """Import a Python file and return the agents that it holds, alone or in lists and tuples, in the order of its text.

    Raises `TargetError` when there is no such file, or when the import fails.
    """
    _put_first(Path.cwd())
    found: dict[int, Agent[object]] = {}
    for value in vars(_load_file(Path(path))).values():
        held = value if isinstance(value, list | tuple) else [value]
        found |= {id(each): each for each in held if isinstance(each, Agent)}
    return list(found.values())


def _made(value: object, text: str) -> object:
    if not inspect.isfunction(value):
        return value
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(value).parameters.values()
    needed = [item.name for item in parameters if item.default is item.empty and item.kind not in starred]
    if needed:
        raise TargetError(
            f"function {text!r} needs {', '.join(needed)}; name an Agent, or a function that needs nothing"
        )
    return value()


def load_replies(text: str) -> Answering:
    """Return what `text` names to answer in the model's place: a function, a list of replies or a `Replies` object.

    Raises `TargetError` like `load_target`, and when it is something else.
    """
    return as_replies(load_target(text).value, text)


def as_replies(value: object, text: str) -> Answering:
    """Return `value`, which `text` named, if it can answer in the model's place. Raises `TargetError` if not."""
    if isinstance(value, Replies):
        return value
    if callable(value) or isinstance(value, list | tuple):
        return cast("Answering", value)  # what it returns is checked by the emulator, reply for reply
    raise TargetError(f"{text!r} is of type {type(value).__name__}, not a reply function or a list of replies")


def load_target(text: str) -> Target:
    """Return the object that `text` names, whatever it is.

    Raises `TargetError` when file, module or name do not exist, or when the import fails.
    """
    source, colon, name = text.rpartition(":")
    if not colon or not source or not name.isidentifier():
        raise TargetError(f"target {text!r} is not of the form module:name or file.py:name")
    _put_first(Path.cwd())
    module = _load_file(Path(source)) if _names_a_file(source) else _load_module(source)
    if not hasattr(module, name):
        close = get_close_matches(name, [item for item in vars(module) if not item.startswith("_")], n=3)
        remedy = f"; did you mean {' or '.join(map(repr, close))}?" if close else _defines(module)
        raise TargetError(f"target {text!r}: {source} has no {name!r}{remedy}")
    return Target(text=text, module=module, value=getattr(module, name))


def _names_a_file(source: str) -> bool:
    return source.endswith(".py") or "/" in source or "\\" in source


def _defines(module: ModuleType) -> str:
    names = sorted(name for name, value in vars(module).items() if isinstance(value, Agent | Workflow))
    return f"; it defines {', '.join(names)}" if names else "; it defines no Agent and no workflow"


def _load_module(name: str) -> ModuleType:
    def load() -> ModuleType:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise TargetError(f"there is no module {name!r} here or among the installed packages") from error

    return _imported(load, name)


def _load_file(path: Path) -> ModuleType:
    resolved = path.resolve()
    if not resolved.is_file():
        near = [item.name for item in _siblings(resolved)]
        close = get_close_matches(path.name, near, n=1)
        remedy = f"; did you mean {path.with_name(close[0])}?" if close else ""
        raise TargetError(f"there is no file {str(path)!r}{remedy}")
    if resolved.suffix != ".py":
        raise TargetError(f"{str(path)!r} is no Python file; name one that ends in .py")
    return _load_packaged(resolved) if (resolved.parent / "__init__.py").is_file() else _load_script(resolved)


def _siblings(path: Path) -> Iterable[Path]:
    return path.parent.glob("*.py") if path.parent.is_dir() else ()


def _load_packaged(path: Path) -> ModuleType:
    """Import a file of a package under its full name, so that its relative and absolute imports hold."""
    root = path.parent
    while (root / "__init__.py").is_file():
        root = root.parent
    name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    _put_first(root)
    package = name.split(".")[0]
    there = root / package / "__init__.py"
    loaded = getattr(sys.modules.get(package), "__file__", None)
    if loaded is not None and Path(loaded).resolve() != there:
        raise TargetError(
            f"{path} is in package {package!r}, but {loaded} is imported under that name; rename one of them"
        )
    return _imported(lambda: importlib.import_module(name), str(path))


def _load_script(path: Path) -> ModuleType:
    """Import a file that is in no package, with its own folder first on `sys.path` as `python FILE` has it."""
    _put_first(path.parent)
    name = path.stem if path.stem not in sys.modules else f"target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    loader = spec.loader

    def load() -> ModuleType:
        sys.modules[name] = module  # dataclasses and pydantic look their module up while it is executed
        try:
            loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    return _imported(load, str(path))


def _put_first(folder: Path) -> None:
    entry = str(folder.resolve())
    if entry in sys.path:
        sys.path.remove(entry)
    sys.path.insert(0, entry)


def _imported(load: Callable[[], ModuleType], what: str) -> ModuleType:
    try:
        return load()
    except TargetError:
        raise
    except (Exception, SystemExit) as error:
        reason = str(error) if isinstance(error, AgentCacheError) else f"{type(error).__name__}: {error}"
        started = asyncio.runners.__file__ in {frame.filename for frame in extract_tb(error.__traceback__)}
        remedy = f"; {_STARTED}" if started else ""
        raise TargetError(f"{authors_place(error) or what} cannot be imported: {reason}{remedy}") from error
