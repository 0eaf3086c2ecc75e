"""What the linter knows of a value in a template: not what it is, but what it depends on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from agentcache.lint.finding import Place
from agentcache.lint.origins import Origin, OriginKind, Role
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.sections import Stability


class Shown(NamedTuple):
    """Where the body of a macro, or a template brought in, shows what its caller prints elsewhere."""

    place: Place
    expression: str
    role: Role


class Trace(NamedTuple):
    """One origin on its way; shown: the place in a macro's body where it entered the text, `None` outside."""

    origin: Origin
    shown: Shown | None = None


Traces: TypeAlias = frozenset[Trace]
NONE: Traces = frozenset()


class Root(NamedTuple):
    """A variable or a global that is read, with the attributes and constant items behind it.

    stability: of the layer that declares it; `None` for a global of the environment and for what nobody declares.
    """

    path: tuple[str, ...]
    place: Place
    stability: Stability | None
    declared: bool
    source: bool
    """A global: what it gives is judged by what its name means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a value depends on.

    data: its content varies with these. decided: which of several texts it is varies with these.
    order: its parts come in an order that varies; shows once it is shown or walked through.
    opaque: it has no text of its own; shows once it is shown itself, not by its attributes.
    root: what was read, as long as attributes may still say more about it. target: what a call of it does.
    constant: whether it is a literal, and then its value; example: an example of a declared variable.
    """

    data: Traces = NONE
    decided: Traces = NONE
    order: Traces = NONE
    opaque: Traces = NONE
    root: Root | None = None
    target: object = None
    constant: bool = False
    example: JsonValue = None

    @property
    def content(self) -> Traces:
        """What the value depends on, whatever form it is shown in."""
        return self.data | self.decided

    @property
    def shown(self) -> Traces:
        """What its text depends on."""
        return self.data | self.decided | self.order | self.opaque

    def as_text(self, more: Iterable[Value] = ()) -> Value:
        """Return the value made into text, with others in it."""
        values = [self, *more]
        data = frozenset().union(*(value.data | value.order | value.opaque for value in values))
        return Value(data=data, decided=_union(value.decided for value in values))

    def settled(self) -> Value:
        """Return what is left when neither order nor form of the value counts."""
        return Value(data=self.data, decided=self.decided)

    def picked(self) -> Value:
        """Return one part of the value, chosen by its order."""
        return Value(data=self.data | self.order, decided=self.decided, opaque=self.opaque)

    def part(self) -> Value:
        """Return a part that is named (an attribute, an item)."""
        return Value(data=self.data, decided=self.decided)

    def plain(self) -> Value:
        """Return the value itself, no longer known by the name that it was read by."""
        return replace(self, root=None, target=None, constant=False, example=None)

    def with_(self, *, data: Traces = NONE, decided: Traces = NONE) -> Value:
        """Return the value depending on more."""
        if data <= self.data and decided <= self.decided:
            return self
        return replace(self, data=self.data | data, decided=self.decided | decided)


NOTHING = Value()


def joined(values: Iterable[Value]) -> Value:
    """Return a value that is one of these, or made of all of them."""
    known = list(values)
    if len(known) == 1:
        return known[0]
    return Value(
        data=_union(value.data for value in known),
        decided=_union(value.decided for value in known),
        order=_union(value.order for value in known),
        opaque=_union(value.opaque for value in known),
        target=next((value.target for value in known if value.target is not None), None),
    )


def _union(traces: Iterable[Traces]) -> Traces:
    return frozenset().union(*traces)


def without(traces: Traces, *kinds: OriginKind) -> Traces:
    """Return the traces but for those of some kinds."""
    return frozenset(trace for trace in traces if trace.origin.kind not in kinds)
