"""Where a value that varies comes from, and where it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from agentcache.lint.finding import Place
from agentcache.prompt.sections import Stability


class OriginKind(StrEnum):
    """What a value that varies is, by its meaning where its name has one, else by the layer that declares it."""

    CLOCK = "clock"
    DATE = "date"
    ID = "id"
    IDENTITY = "identity"
    HOST = "host"
    GIT = "git"
    COUNTER = "counter"
    LIVE = "live"
    RANDOM = "random"
    SET_ORDER = "set_order"
    DICT_ORDER = "dict_order"
    LOCALE = "locale"
    OBJECT_TEXT = "object_text"
    SEMI_STATIC = "semi_static"
    SESSION = "session"
    TURN = "turn"
    UNDECLARED = "undeclared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A source of variation. name: as it is written (`user.email`, `now()`); place: where it is read.

    stability: of the layer that declares the variable; `None` for what the environment gives anew at each render, for
    order and form that differ between processes, and for what nobody declares.
    """

    kind: OriginKind
    name: str
    place: Place
    stability: Stability | None = None


Role: TypeAlias = Literal["output", "condition", "loop", "include"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Print:
    """A place where values that vary reach the text of a section.

    origins: what the text there depends on; never empty.
    role: `output` shows a value; `condition` decides which text stands there; `loop` goes round once for each value;
        `include` brings in another template, chosen by the value or showing it.
    expression: as it is written. through: places on the way (calls of the macro around it, includes).
    """

    place: Place
    layer: Stability
    section: str
    origins: frozenset[Origin]
    role: Role
    expression: str
    through: tuple[Place, ...] = ()
