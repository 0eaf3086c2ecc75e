"""From templates and variables to the text of each section: the same bytes every time.

Decides which sections of a layer come out, with which variables, and in canonical form. What a value looks like to a
template is decided in plain_values.py, what a template may do in sandbox.py, and which layer may use which variable
in variables.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jinja2 import Environment, Template, meta, nodes

from agentcache.prompt.canonical import JsonValue, canonical_text
from agentcache.prompt.plain_values import plain_variables
from agentcache.prompt.provenance import Provenance
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.sandbox import compiled, jinja_errors, parse, template_environment
from agentcache.prompt.sections import Prompt, Section, Stability
from agentcache.prompt.tracing import Tracer


class Renderer:
    """Renders the sections of one prompt; compiled once. What it remembers is where newest texts came from."""

    def __init__(self, prompt: Prompt) -> None:
        """Compile `prompt` and every template that it includes.

        Raises `TemplateError` for a template that does not parse or uses a filter or test that is not offered.
        """
        self._environment = template_environment(prompt.includes)
        self._tracer = Tracer(prompt.includes)
        self._layers: dict[Stability, tuple[tuple[Section, Template], ...]] = {}
        self._names: dict[Stability, frozenset[str] | None] = {}
        for layer in Stability:
            sections = prompt.layer(layer)
            trees = [parse(self._environment, section.template, section.label) for section in sections]
            self._names[layer] = _names_used(self._environment, trees, prompt.includes)
            self._layers[layer] = tuple(
                (section, compiled(self._environment, tree, section.label))
                for section, tree in zip(sections, trees, strict=True)
            )

    def render(self, stability: Stability, variables: Mapping[str, object]) -> tuple[RenderedSection, ...]:
        """Return the sections of one layer, without those that come out empty.

        `variables` holds those of this layer and of all more stable ones; what no template of the layer names is
        ignored. Raises `MissingVariable` for a name or attribute without a value, `SettingsError` for a value with no
        one text (`plain_value`), and `TemplateError` for anything else that fails; all name template and line.
        """
        names = self._names[stability]
        plain = plain_variables({name: variables[name] for name in variables if names is None or name in names})
        return tuple(
            RenderedSection(
                name=section.name,
                stability=stability,
                text=text,
                breakpoint=section.breakpoint,
                parting=section.parting,
                provenance=self._tracer.note(section, plain, text) if stability in _TRACED else None,
            )
            for section, template in self._layers[stability]
            if (text := _text_of(template, plain, section, stability))
        )

    def provenance(self, digests: Iterable[str]) -> tuple[Provenance, ...]:
        """Return what sections that were rendered here are made of, by the digests they came with.

        The newest texts of each section are remembered; one that was rendered elsewhere, or long ago, is left out.
        """
        return self._tracer.provenance(digests)


_TRACED = frozenset(Stability) - {Stability.TURN}
"""A turn's text is new with every call and stands behind all that a cache could have kept."""


def _text_of(template: Template, variables: Mapping[str, JsonValue], section: Section, stability: Stability) -> str:
    with jinja_errors(section.label, stability):
        text = canonical_text(template.render(variables))
        text.encode()  # an escape such as "\ud800" in a template makes text that no request can carry
        return text


def _names_used(
    environment: Environment, trees: Iterable[nodes.Template], includes: Mapping[str, str]
) -> frozenset[str] | None:
    """Return every name in these templates and those that they include, scoped or not; `None` is any name."""
    names: set[str] = set()
    seen: set[str] = set()
    pending = list(trees)
    while pending:
        tree = pending.pop()
        names.update(node.name for node in tree.find_all(nodes.Name))
        for reference in meta.find_referenced_templates(tree):
            if reference is None:
                return None
            if reference in includes and reference not in seen:
                seen.add(reference)
                pending.append(parse(environment, includes[reference], reference))
                with jinja_errors(reference):
                    environment.get_template(reference)  # compiles it now, so that its mistakes show now
    return frozenset(names)
