"""Arguments of filters, tests and calls, as far as they are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agentcache.lint.values import Traces, Value

_SEEDS = frozenset({"seed", "random_state", "rng", "key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Arguments of a filter, test or call. written: those that are literals, in order and by name."""

    positional: Sequence[Value] = ()
    named: Mapping[str, Value] = field(default_factory=dict)

    @property
    def all(self) -> list[Value]:
        """All of them."""
        return [*self.positional, *self.named.values()]

    @property
    def key(self) -> tuple[object, ...]:
        """What tells these arguments from others."""
        named = sorted(self.named.items(), key=lambda item: item[0])
        return tuple(map(_identity, self.positional)), tuple((name, _identity(value)) for name, value in named)

    @property
    def texts(self) -> list[str]:
        """The literal texts among them."""
        return [value.example for value in self.all if value.constant and isinstance(value.example, str)]

    @property
    def content(self) -> Traces:
        """What the arguments themselves depend on."""
        return frozenset().union(*(value.content for value in self.all))

    @property
    def seeded(self) -> bool:
        """Whether a fixed seed is among them, which makes chance give the same every time."""
        seeds = [value for name, value in self.named.items() if name in _SEEDS]
        return bool(seeds) and not any(value.shown for value in seeds)

    @property
    def constant(self) -> bool:
        """Whether there are some and none of them varies."""
        return bool(self.all) and not any(value.shown for value in self.all)


def _identity(value: Value) -> tuple[object, ...]:
    literal = (type(value.example), value.example) if value.constant else value.root
    return value.data, value.decided, value.order, value.opaque, value.target, literal
