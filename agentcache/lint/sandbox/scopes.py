"""Which value a name has where: Jinja's scopes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Scope:
    """Names with their values, and the scope around it.

    unknown: what a name has that nobody gave one; asked in the outermost scope only.
    """

    outer: Scope | None = None
    names: dict[str, object] = field(default_factory=dict)
    unknown: Callable[[str], object] | None = None

    def look_up(self, name: str) -> object:
        """Return the value of a name here."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            if scope.outer is None and scope.unknown is not None:
                return scope.unknown(name)
            scope = scope.outer
        raise LookupError(name)

    def inner(self) -> Scope:
        """Return a new scope inside this one."""
        return Scope(outer=self)
