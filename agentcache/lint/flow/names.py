"""What a name in a template stands for: a declared variable, a global of the environment, or something unknown."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.finding import Place
from agentcache.lint.meanings import source_meaning, variable_meaning
from agentcache.lint.origins import Origin, OriginKind
from agentcache.lint.values import NONE, NOTHING, Root, Trace, Traces, Value
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.sections import Stability

BUILT_IN = frozenset(
    {
        "range",
        "dict",
        "cycler",
        "joiner",
        "namespace",
        "loop",
        "self",
        "super",
        "caller",
        "varargs",
        "kwargs",
        "gettext",
        "ngettext",
        "pgettext",
        "npgettext",
        "_",
        "true",
        "false",
        "none",
        "raise_exception",
    }
)
"""Names that plain Jinja, its own extensions or every chat template offer."""

_SETS = {"set": OriginKind.SET_ORDER, "frozenset": OriginKind.SET_ORDER, "dict:unordered": OriginKind.DICT_ORDER}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[a-z]{2,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?\S*")


class Names:
    """What the names of one agent's templates stand for."""

    def __init__(self, sources: AgentSources) -> None:
        self._sources = sources
        self._layers: dict[str, tuple[Stability, JsonValue]] = {
            name: (layer, value) for layer in Stability for name, value in sources.variables.get(layer, {}).items()
        }

    def read(self, name: str, place: Place) -> Value:
        """Return the value of a name that no scope of the template defines."""
        if name in self._layers or name in self._sources.types:
            layer, example = self._layers.get(name, (Stability.STATIC, None))
            root = Root(path=(name,), place=place, stability=layer, declared=True, source=False)
            return self._declared(root, example)
        offered = name in self._sources.offered.globals
        if name in BUILT_IN and not offered:
            return NOTHING
        root = Root(path=(name,), place=place, stability=None, declared=offered, source=True)
        return self.refreshed(root)

    def attribute(self, value: Value, name: str, place: Place) -> Value:
        """Return an attribute, or the item of a constant key."""
        root = value.root
        if root is None:
            return value.part()
        deeper = root._replace(path=(*root.path, name), place=root.place if root.source else place)
        if root.source:
            return self.refreshed(deeper)
        example = value.example.get(name) if isinstance(value.example, Mapping) else None
        return self._declared(deeper, example)

    def refreshed(self, root: Root) -> Value:
        """Return what a global of this path gives when it is shown without a call."""
        if not root.declared and (self._sources.complete or len(root.path) == 1):
            return Value(data=self.undeclared(root), root=root)
        kind = source_meaning(root.path, called=False)
        return Value(data=NONE if kind is None else one(kind, root.path, root.place), root=root)

    def undeclared(self, root: Root, *, called: bool = False) -> Traces:
        """Return what reading a name depends on that nobody declares; extensions may bring functions of their own."""
        if called and any(not name.startswith("jinja2.ext.") for name in self._sources.offered.extensions):
            return NONE
        if self._sources.complete:
            return one(OriginKind.UNDECLARED, root.path[:1], root.place)
        kind = source_meaning(root.path, called=False)
        return NONE if kind is None else one(kind, root.path, root.place)

    def _declared(self, root: Root, example: JsonValue) -> Value:
        order, opaque = self._form(root)
        if root.stability is Stability.STATIC:
            return Value(order=order, opaque=opaque, root=root, example=example)
        return Value(data=self._varying(root, example), order=order, opaque=opaque, root=root, example=example)

    def _varying(self, root: Root, example: JsonValue) -> Traces:
        kind = variable_meaning(root.path)
        stability = root.stability
        if kind is None and stability is not Stability.SEMI_STATIC:
            kind = _by_value(example)
        if stability is Stability.SEMI_STATIC and kind not in {OriginKind.CLOCK, OriginKind.DATE}:
            kind = OriginKind.SEMI_STATIC
        if kind is None:
            kind = OriginKind.TURN if stability is Stability.TURN else OriginKind.SESSION
        return one(kind, root.path, root.place, stability)

    def _form(self, root: Root) -> tuple[Traces, Traces]:
        kind = self._sources.types.get(".".join(root.path), "")
        if kind in _SETS:
            return one(_SETS[kind], root.path, root.place), NONE
        if kind == "object" or kind.endswith("[object]"):
            return NONE, one(OriginKind.OBJECT_TEXT, root.path, root.place)
        if kind in {"list[set]", "list[frozenset]"}:
            return NONE, one(OriginKind.SET_ORDER, root.path, root.place)
        return NONE, NONE


def one(kind: OriginKind, path: tuple[str, ...], place: Place, stability: Stability | None = None) -> Traces:
    """Return the trace of a single origin."""
    return frozenset({Trace(Origin(kind=kind, name=".".join(path), place=place, stability=stability))})


def _by_value(example: JsonValue) -> OriginKind | None:
    """Return what an example value tells where the name tells nothing."""
    if not isinstance(example, str):
        return None
    if _EMAIL.fullmatch(example):
        return OriginKind.IDENTITY
    if _UUID.fullmatch(example):
        return OriginKind.ID
    return OriginKind.CLOCK if _TIME.fullmatch(example) else None
