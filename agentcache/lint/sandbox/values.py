"""What a template can hold in its hands: JSON values, and these.

Whatever is not here or JSON does not reach a template, so there is nothing to escape through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

Call: TypeAlias = Callable[[tuple[object, ...], Mapping[str, object]], object]


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Stands for a value that is not there while linting: an undeclared variable, what an unknown function returns.

    text: what it is as text: the words that ask for it, with whatever varies. missing: nothing will ever be there.
    name: what its parts are called by; empty means by its text. fields: the parts that are known.
    """

    text: str
    missing: bool = False
    name: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Unordered:
    """A set: its items in the order in which this process happens to hold them."""

    items: list[object]


class Group(tuple[object, ...]):
    """What `groupby` makes: a pair whose parts are `grouper` and `list` too."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """A date and time."""

    at: datetime


@dataclass(slots=True, eq=False)
class Namespace:
    """What `namespace()` returns."""

    names: dict[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """What a template may call. shown: as text, where somebody prints it instead of calling it; name: of a macro."""

    shown: str
    call: Call
    catches_kwargs: bool = False
    arguments: tuple[str, ...] = ()
    name: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """What `import … as` gives a name to."""

    name: str
    names: Mapping[str, object]
    text: str


@dataclass(slots=True, eq=False)
class Cycler:
    """What `cycler()` returns."""

    items: tuple[object, ...]
    position: int = 0


@dataclass(slots=True, eq=False)
class Joiner:
    """What `joiner()` returns."""

    separator: object
    used: bool = False


@dataclass(slots=True, eq=False)
class Loop:
    """`loop` inside a for; position from 0."""

    items: list[object]
    depth0: int
    again: Call | None
    position: int = 0
    last_changed: object = None
    seen_any: bool = False
