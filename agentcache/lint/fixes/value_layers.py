"""The layer that a value belongs to: the most stable one in which it is no mistake."""

from __future__ import annotations

from collections.abc import Iterable

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.origins import OriginKind, Print
from agentcache.lint.verdicts import is_wrong
from agentcache.prompt.sections import Stability

_CONSTANT = frozenset({"range", "dict", "namespace", "cycler", "joiner", "none", "true", "false"})
"""What every template has and what is the same everywhere."""

_FORM_ONLY = frozenset({OriginKind.SET_ORDER, OriginKind.DICT_ORDER, OriginKind.LOCALE, OriginKind.OBJECT_TEXT})
"""What varies in form and not with time: no layer helps."""


def layer_of_name(sources: AgentSources, name: str) -> Stability | None:
    """Return the least stable layer that declares a name; `None` where nobody does."""
    declared = [layer for layer, values in sources.variables.items() if name in values]
    if declared:
        return max(declared, key=lambda layer: layer.rank)
    return Stability.STATIC if name in _CONSTANT else None


def layer_of_prints(prints: Iterable[Print]) -> Stability | None:
    """Return the layer that everything shown needs, static for nothing; `None` where nobody declares one of them."""
    origins = [origin for each in prints for origin in each.origins if origin.kind not in _FORM_ONLY]
    if any(origin.kind is OriginKind.UNDECLARED for origin in origins):
        return None
    prefix = (Stability.STATIC, Stability.SEMI_STATIC, Stability.SESSION)
    fitting = (layer for layer in prefix if not any(is_wrong(origin, layer) for origin in origins))
    return next(fitting, Stability.TURN)
