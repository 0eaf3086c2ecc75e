"""The layer that a value belongs to: where its variable is declared, or as long as what it is stays the same."""

from __future__ import annotations

from collections.abc import Iterable

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.origins import Origin, OriginKind, Print
from agentcache.prompt.sections import Stability

_CONSTANT = frozenset({"range", "dict", "namespace", "cycler", "joiner", "none", "true", "false"})
"""What every template has and what is the same everywhere."""

_AT_LEAST: dict[OriginKind, Stability] = {
    OriginKind.CLOCK: Stability.TURN,
    OriginKind.DATE: Stability.SEMI_STATIC,
    OriginKind.ID: Stability.TURN,
    OriginKind.IDENTITY: Stability.SESSION,
    OriginKind.HOST: Stability.SESSION,
    OriginKind.GIT: Stability.SESSION,
    OriginKind.COUNTER: Stability.TURN,
    OriginKind.LIVE: Stability.TURN,
    OriginKind.RANDOM: Stability.TURN,
    OriginKind.SEMI_STATIC: Stability.SEMI_STATIC,
    OriginKind.SESSION: Stability.SESSION,
    OriginKind.TURN: Stability.TURN,
}
_ORDER_ONLY = frozenset({OriginKind.SET_ORDER, OriginKind.DICT_ORDER, OriginKind.LOCALE, OriginKind.OBJECT_TEXT})
"""What varies in form and not with time: no layer helps."""


def layer_of_name(sources: AgentSources, name: str) -> Stability | None:
    """Return the least stable layer that declares a name; `None` where nobody does."""
    declared = [layer for layer, values in sources.variables.items() if name in values]
    if declared:
        return max(declared, key=lambda layer: layer.rank)
    return Stability.STATIC if name in _CONSTANT else None


def layer_of_prints(prints: Iterable[Print]) -> Stability | None:
    """Return the layer that everything shown needs, static for nothing; `None` where one value's is not known."""
    layers = [_layer(origin) for each in prints for origin in each.origins if origin.kind not in _ORDER_ONLY]
    known = [layer for layer in layers if layer is not None]
    if len(known) < len(layers):
        return None
    return max(known, key=lambda layer: layer.rank, default=Stability.STATIC)


def _layer(origin: Origin) -> Stability | None:
    least = _AT_LEAST.get(origin.kind)
    if origin.kind is OriginKind.LIVE and origin.stability is not None:
        least = None  # what is looked up once per session is declared so
    layers = [layer for layer in (least, origin.stability) if layer is not None]
    return max(layers, key=lambda layer: layer.rank, default=None)
