"""Where a text that a program holds stands in its Python files: found again by the text itself.

Looks through the files of the modules that are loaded, the standard library, installed packages and this one apart.
Slow beside everything else here, so it is asked only once there is something to say about a place.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import sysconfig
import tokenize
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

from agentcache.lint.located_text import LocatedText
from agentcache.lint.python.literals import PythonText
from agentcache.lint.python.scopes import expressions
from agentcache.lint.python.values import Evaluation

_TELLING = (ast.Constant, ast.JoinedStr, ast.Call, ast.BinOp)
_WORD = re.compile(r"[A-Za-z0-9]+")
"""However a text is written, its words stand in the file as they are."""
_OWN = Path(__file__).resolve().parent.parent


def find_written(text: str) -> LocatedText | None:
    """Return the literal of a loaded module that comes to `text`, `dedent` and the like included; `None` if none does.

    A text made of values, or written in two places, is found in one of them or not at all.
    """
    words = dict.fromkeys(_WORD.findall(text))
    longest = max(words, key=len, default="")
    if not longest:
        return None
    files = [(path, source) for path, source in _author_files() if longest in source]
    # Each is parsed whole, and it is nearly always one that holds every word.
    files.sort(key=lambda file: not all(word in file[1] for word in words))
    for path, source in files:
        found = _texts_of(path, source).get(text)
        if found is not None:
            return found
    return None


def _author_files() -> Iterator[tuple[str, str]]:
    """Yield path and text of the Python files behind the loaded modules that the author wrote."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        path = _author_file(file) if isinstance(file, str) else None
        if path is None:
            continue
        try:
            yield shown_path(path), path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            continue  # a file that is gone since, or no text, tells no place


@cache  # thousands of modules are loaded, and links are followed for each
def _author_file(file: str) -> Path | None:
    """Return where the file of a module lies, or `None` unless the author wrote it."""
    if not file.endswith(".py"):
        return None
    path = Path(file).resolve()
    return None if str(path).startswith(_installed()) or _OWN in path.parents else path


@cache
def _installed() -> tuple[str, ...]:
    return tuple(os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "purelib", "platlib"))


def shown_path(path: Path) -> str:
    """Return a path as messages show it: relative where it is below the working directory."""
    here = Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


@lru_cache(maxsize=64)
def _texts_of(path: str, source: str) -> dict[str, LocatedText]:
    """Return the texts that a file's expressions come to, each where it first stands."""
    try:
        written = PythonText(source, path)
        tree = ast.parse(source)
    except (SyntaxError, tokenize.TokenError, ValueError, RecursionError):
        return {}  # it was loaded, but is being edited
    evaluation = Evaluation(written)
    texts: dict[str, LocatedText] = {}
    for node, scope in expressions(tree):
        if not isinstance(node, _TELLING) or (isinstance(node, ast.Constant) and not isinstance(node.value, str)):
            continue
        value = evaluation.value(node, scope)
        if isinstance(value, LocatedText) and not value.prints_python:
            texts.setdefault(value.text, value)
    return texts
