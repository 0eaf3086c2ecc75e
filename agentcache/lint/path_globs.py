"""Patterns of paths, as settings write them: `*` and `?` within a name, `**` over folders.

A pattern without a slash holds at any depth, and one that matches a folder holds for all that is in it.
"""

from __future__ import annotations

import re
from functools import lru_cache

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]/]+\]|[^*?\[]+|\[")
_WRITTEN = {"**/": r"(?:[^/]+/)*", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}


def matches(pattern: str, path: str) -> bool:
    """Tell whether `path` (relative, with `/`) is meant by `pattern`."""
    return _compiled(pattern).fullmatch(path) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    plain = pattern.removeprefix("./").rstrip("/")
    anywhere = "" if "/" in plain else r"(?:[^/]+/)*"
    body = "".join(_WRITTEN.get(token) or _literal(token) for token in _TOKEN.findall(plain))
    return re.compile(rf"{anywhere}{body}(?:/.*)?", re.DOTALL)


def _literal(token: str) -> str:
    if token.startswith("[") and token.endswith("]"):
        inside = token[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[^/{inside[1:]}]" if inside.startswith("!") else f"[{inside.replace('^', chr(92) + '^')}]"
    return re.escape(token)
