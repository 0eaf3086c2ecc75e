"""Renders an agent's layers from its example values, and compares renders that differ in one thing.

Pure and bounded: templates run in the interpreter of `sandbox/`, which counts their steps and never makes code of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.finding import Place
from agentcache.lint.sandbox.example_values import Examples, StandIns, plain_globals
from agentcache.lint.sandbox.expressions import Expressions
from agentcache.lint.sandbox.meter import Exhausted, Meter
from agentcache.lint.sandbox.scopes import Scope
from agentcache.lint.sandbox.statements import Interpreter, Output, Tree
from agentcache.lint.sandbox.values import Expected
from agentcache.lint.syntax import ParsedTemplate
from agentcache.prompt.sections import Stability


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedLayer:
    r"""The text of one section with example values, as the template gives it (nothing is normalised).

    lines: for each line of `text.split("\n")` the place in a template that printed it.
    ended: why rendering stopped before the end; `None` where it did not.
    read, called: the variables that were read, and the functions that nobody here knows.
    steps: how much work it was (`sandbox/meter.py`).
    """

    layer: Stability
    section: str
    text: str
    lines: tuple[Place, ...]
    ended: str | None = None
    read: frozenset[str] = frozenset()
    called: frozenset[str] = frozenset()
    steps: int = 0


def render_layers(sources: AgentSources, parsed: Mapping[str, ParsedTemplate]) -> tuple[RenderedLayer, ...]:
    """Return every section rendered, in order; one whose template does not parse is left out.

    Never fails: what is not there is stood in for by the words that ask for it, and a template that does too much
    ends where it is.
    """
    trees = _trees(parsed)
    return tuple(
        _rendered(file.layer, file.name, trees, sources, other=None) for file in sources.layers if file.name in trees
    )


def render_section(
    layer: Stability,
    name: str,
    sources: AgentSources,
    parsed: Mapping[str, ParsedTemplate],
    *,
    other: str,
) -> RenderedLayer:
    """Return one section rendered with another value of the variable `other`.

    Raises `KeyError` for a name whose template does not parse.
    """
    return _rendered(layer, name, _trees(parsed), sources, other=other)


def _trees(parsed: Mapping[str, ParsedTemplate]) -> dict[str, Tree]:
    return {
        name: Tree(path=template.file.path, template=template.tree, blocks=template.blocks)
        for name, template in parsed.items()
        if template.tree is not None
    }


def _rendered(
    layer: Stability, name: str, trees: Mapping[str, Tree], sources: AgentSources, *, other: str | None
) -> RenderedLayer:
    meter = Meter()
    examples = Examples(sources.variables, sources.types, other)
    stand_ins = StandIns(meter)
    outermost = Scope(names=plain_globals(meter), unknown=lambda asked: _unknown_name(asked, sources))
    interpreter = Interpreter(trees, Expressions(meter, stand_ins.called), outermost)
    output: Output = []
    ended = None
    try:
        interpreter.render(name, Scope(outer=outermost, names=examples), output)
    except Exhausted as limit:
        ended = limit.what
    except RecursionError:
        ended = "templates nested too deeply"
    return RenderedLayer(
        layer=layer,
        section=name,
        text="".join(piece.text for piece in output),
        lines=_lines(output, trees[name].path),
        ended=ended,
        read=frozenset(examples),
        called=frozenset(stand_ins.names),
        steps=meter.steps,
    )


def _unknown_name(name: str, sources: AgentSources) -> object:
    missing = sources.complete and name not in sources.offered.globals
    return Expected("" if missing else name, missing=missing)


def _lines(output: Output, path: str) -> tuple[Place, ...]:
    """Return the place of every line: of the first piece on it that shows more than white space."""
    lines: list[tuple[str, int]] = [(path, 1)]
    filled = False
    for piece in output:
        for at, part in enumerate(piece.text.split("\n")):
            here = piece.path, piece.line + at if piece.literal else piece.line
            if at:
                lines.append(here)
                filled = False
            if not filled and part and not part.isspace():
                lines[-1] = here
                filled = True
    return tuple(Place(path=path, line=line) for path, line in lines)
