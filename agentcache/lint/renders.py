"""Renders an agent's layers from its example values, and compares renders that differ in one thing.

Pure and bounded: templates run in the interpreter of `sandbox/`, which counts their steps and never makes code of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.finding import Place
from agentcache.lint.sandbox.example_values import PLAIN, Variation, called_unknown, plain_globals, typed
from agentcache.lint.sandbox.expressions import Expressions
from agentcache.lint.sandbox.meter import Exhausted, Meter
from agentcache.lint.sandbox.scopes import Scope
from agentcache.lint.sandbox.statements import Interpreter, Output, Tree
from agentcache.lint.sandbox.values import Expected
from agentcache.lint.syntax import ParsedTemplate
from agentcache.prompt.sections import Stability

__all__ = ["PLAIN", "RenderedLayer", "Variation", "render_layers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedLayer:
    r"""The text of one section with example values, as the template gives it (nothing is normalised).

    lines: for each line of `text.split("\n")` the place in a template that printed it.
    ended: why rendering stopped before the end; `None` where it did not.
    """

    layer: Stability
    section: str
    text: str
    lines: tuple[Place, ...]
    ended: str | None = None


def render_layers(
    sources: AgentSources, parsed: Mapping[str, ParsedTemplate], variation: Variation = PLAIN
) -> tuple[RenderedLayer, ...]:
    """Return every section rendered, in order; one whose template does not parse is left out.

    Never fails: what is not there is stood in for by the words that ask for it, and a template that does too much
    ends where it is.
    """
    trees = {
        name: Tree(path=template.file.path, template=template.tree)
        for name, template in parsed.items()
        if template.tree is not None
    }
    return tuple(
        _rendered(file.layer, file.name, trees, sources, variation) for file in sources.layers if file.name in trees
    )


def _rendered(
    layer: Stability, name: str, trees: Mapping[str, Tree], sources: AgentSources, variation: Variation
) -> RenderedLayer:
    meter = Meter()
    outermost = Scope(names=plain_globals(meter), unknown=lambda asked: _unknown_name(asked, sources))
    variables = Scope(outer=outermost, names=_variables(sources, variation))
    expressions = Expressions(meter, lambda called, args: called_unknown(called, args, meter))
    interpreter = Interpreter(trees, expressions, outermost)
    output: Output = []
    ended = None
    try:
        interpreter.render(name, variables, output)
    except Exhausted as limit:
        ended = limit.what
    except RecursionError:
        ended = "templates nested too deeply"
    text = "".join(piece.text for piece in output)
    return RenderedLayer(layer=layer, section=name, text=text, lines=_lines(output, trees[name].path), ended=ended)


def _variables(sources: AgentSources, variation: Variation) -> dict[str, object]:
    others = {
        Stability.SESSION: bool(variation.session),
        Stability.TURN: bool(variation.turn),
        Stability.SEMI_STATIC: bool(variation.semi_static),
    }
    values: dict[str, object] = {
        name: typed(name, kind, None, variation, other=False) for name, kind in sources.types.items()
    }
    for layer, examples in sources.variables.items():
        for name, example in examples.items():
            other = others.get(layer, False)
            values[name] = typed(name, sources.types.get(name), example, variation, other=other)
    return values


def _unknown_name(name: str, sources: AgentSources) -> object:
    missing = sources.complete and name not in sources.offered.globals
    return Expected("" if missing else name, missing=missing)


def _lines(output: Output, path: str) -> tuple[Place, ...]:
    """Return the place of every line: of the first piece on it that shows more than white space."""
    lines: list[Place | None] = [None]
    first: list[Place] = [Place(path=path, line=1)]
    for piece in output:
        for at, part in enumerate(piece.text.split("\n")):
            place = Place(path=piece.path, line=piece.line + (at if piece.literal else 0))
            if at:
                lines.append(None)
                first.append(place)
            if lines[-1] is None and part.strip():
                lines[-1] = place
    return tuple(place or fallback for place, fallback in zip(lines, first, strict=True))
