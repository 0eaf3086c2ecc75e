"""Notes what reaches the text: into the list of prints, or into the value of what captures it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from agentcache.lint.finding import Place
from agentcache.lint.origins import Origin, OriginKind, Role
from agentcache.lint.values import NONE, NOTHING, Shown, Trace, Traces, Value

_FORMS = frozenset(
    {OriginKind.SET_ORDER, OriginKind.DICT_ORDER, OriginKind.LOCALE, OriginKind.OBJECT_TEXT, OriginKind.UNDECLARED}
)
"""What is mended where it is printed, however the template comes in."""


class Note(NamedTuple):
    """One place of the text and what it depends on there."""

    origins: frozenset[Origin]
    place: Place
    expression: str
    role: Role
    through: tuple[Place, ...] = ()


@dataclass(slots=True)
class Captured:
    """What a `set` block, a macro or a block puts out, as a value."""

    entries: list[tuple[Trace, Shown]] = field(default_factory=list)

    def value(self, *, placed: bool = False, given: Traces = NONE, brought: Shown | None = None) -> Value:
        """Return it as a value. placed: it is shown where the body shows it, but for what was given."""
        data: set[Trace] = set()
        decided: set[Trace] = set()
        for trace, shown in self.entries:
            kept = placed and trace.shown is None and trace not in given
            entered = self._entered(trace, shown, brought) if kept else trace
            (decided if shown.role == "condition" else data).add(entered)
        return Value(data=frozenset(data), decided=frozenset(decided))

    @staticmethod
    def _entered(trace: Trace, shown: Shown, brought: Shown | None) -> Trace:
        return Trace(trace.origin, shown if brought is None or trace.origin.kind in _FORMS else brought)


class Notes:
    """Everything that was noted of one section."""

    def __init__(self) -> None:
        self.prints: list[Note] = []
        self.in_loop = 0
        self._captures: list[Captured] = []
        self._explained: Traces = NONE
        self._texts = 0

    def text(self, data: str) -> None:
        """Take in literal text."""
        self._texts += bool(data.strip())

    @contextmanager
    def captured(self) -> Iterator[Captured]:
        """Take in what is put out inside as a value and not as text of the prompt."""
        capture = Captured()
        self._captures.append(capture)
        try:
            yield capture
        finally:
            self._captures.pop()

    @contextmanager
    def region(self, value: Value, shown: Shown | None, *, explains: bool = False) -> Iterator[None]:
        """Note what decides about the text inside, once some is put out there; explains: it is said for all inside."""
        texts, explained, first = self._texts, self._explained, len(self.prints)
        self.in_loop += explains
        if explains:
            self._explained = explained | value.shown
        try:
            yield
        finally:
            self.in_loop -= explains
            self._explained = explained
        if shown is None or self._texts == texts or not value.shown:
            return
        if shown.role == "condition" and self._is_said(value.shown, first):
            return
        self._put(value, shown, None, first)

    def _is_said(self, traces: Traces, first: int) -> bool:
        """Say whether what stands inside shows all that decides: `{% if name %}Hello {{ name }}{% endif %}`."""
        if self._captures:
            said = {trace.origin.name for trace, shown in self._captures[-1].entries if shown.role == "output"}
        else:
            said = {origin.name for note in self.prints[first:] if note.role == "output" for origin in note.origins}
        return all(any(_same_thing(trace.origin.name, name) for name in said) for trace in traces)

    def passed(self, value: Value) -> None:
        """Take in that a value is put out, whatever it depends on."""
        self._texts += not (value.constant and isinstance(value.example, str) and not value.example.strip())

    def show(self, value: Value, shown: Shown, brought: Shown | None) -> None:
        """Note what the text depends on where a value is put out."""
        self._put(value, shown, brought, len(self.prints))

    def _put(self, value: Value, shown: Shown, brought: Shown | None, at: int) -> None:
        output = value.data | value.order | value.opaque
        plain = frozenset(trace for trace in output if trace not in self._explained)
        decided = frozenset(trace for trace in value.decided if trace not in self._explained and trace not in output)
        if self._captures:
            entries = self._captures[-1].entries
            entries += [(trace, shown) for trace in plain]
            entries += [(trace, shown._replace(role="condition")) for trace in decided]
            return
        role: Role = shown.role if shown.role != "condition" else "output"
        for traces, as_role in ((plain, role), (decided, "include" if role == "include" else "condition")):
            self._print(traces, shown._replace(role=as_role), brought, at)

    def _print(self, traces: Traces, shown: Shown, brought: Shown | None, at: int) -> None:
        groups: dict[tuple[Shown, tuple[Place, ...]], set[Origin]] = {}
        for trace in traces:
            inner = trace.shown or shown
            through = (shown.place,) if trace.shown is not None else ()
            if brought is not None and trace.origin.kind not in _FORMS:
                through = (inner.place, *through)
                inner = brought
            groups.setdefault((inner, through), set()).add(trace.origin)
        notes = [
            Note(frozenset(origins), inner.place, inner.expression, inner.role, through)
            for (inner, through), origins in groups.items()
        ]
        self.prints[at:at] = notes


def _same_thing(name: str, other: str) -> bool:
    return other == name or other.startswith(f"{name}.")


__all__ = ["NOTHING", "Captured", "Note", "Notes"]
