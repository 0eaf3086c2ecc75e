"""What a template can call or ask for attributes, and is no plain value: macros, namespaces, blocks, imports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from jinja2 import nodes

from agentcache.lint.syntax import ParsedTemplate
from agentcache.lint.values import Shown, Value

Scope: TypeAlias = dict[str, Value]


@dataclass(frozen=True, eq=False, slots=True)
class Macro:
    """A macro, or the body of a `{% call %}`, with the scopes that it sees."""

    node: nodes.Macro | nodes.CallBlock
    template: ParsedTemplate
    scopes: tuple[Scope, ...]
    brought: Shown | None


@dataclass(frozen=True, eq=False, slots=True)
class Namespace:
    """A `namespace()`: attributes that outlive loops."""

    values: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class Module:
    """An imported template: what its top level defines."""

    names: Scope


@dataclass(frozen=True, eq=False, slots=True)
class BlockBody:
    """What a template puts into a block, and the bodies that it stands in place of."""

    node: nodes.Block
    template: ParsedTemplate
    brought: Shown | None
    above: BlockBody | None = None
