"""Which paths a pattern means. Pure, and linear in the path for any pattern: nothing here can be made to hang."""

from __future__ import annotations

from fnmatch import fnmatchcase

from agentcache.errors import ToolFailed

MAX_PATTERN_CHARS = 200


class PathPattern:
    """A pattern over relative paths with `/`.

    `*`, `?` and `[abc]` stay within one name, `**` stands for any number of directories. A pattern without a slash is
    matched with the file's name in every directory. Case counts. Raises `ToolFailed` for one that is too long.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATTERN_CHARS:
            raise ToolFailed(f"the pattern is longer than {MAX_PATTERN_CHARS} characters; give a shorter one")
        parts = [part for part in text.split("/") if part not in {"", "."}]
        if "/" not in text:
            parts = ["**", *parts]
        if text.endswith("/") or parts[-1] == "**":
            parts = [*parts, "**", "*"]  # all that is below
        self._parts = parts

    @property
    def directory(self) -> tuple[str, ...]:
        """The leading directories that every match lies in: where to begin looking."""
        literal: list[str] = []
        for part in self._parts[:-1]:
            if any(sign in part for sign in "*?["):
                break
            literal.append(part)
        return tuple(literal)

    def matches(self, path: str) -> bool:
        """Tell whether the whole of `path` fits."""
        names = path.split("/")
        # reached[i]: the names read so far fit the first i parts of the pattern.
        reached = self._past_stars({0})
        for name in names:
            reached = self._past_stars(self._after(name, reached))
        return len(self._parts) in reached

    def _after(self, name: str, reached: set[int]) -> set[int]:
        after = set()
        for i in reached:
            if i < len(self._parts) and self._parts[i] == "**":
                after.add(i)
            elif i < len(self._parts) and fnmatchcase(name, self._parts[i]):
                after.add(i + 1)
        return after

    def _past_stars(self, reached: set[int]) -> set[int]:
        """Add what is reached without a name: `**` may stand for nothing."""
        for i, part in enumerate(self._parts):
            if part == "**" and i in reached:
                reached.add(i + 1)
        return reached
