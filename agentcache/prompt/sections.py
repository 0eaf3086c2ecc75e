"""What an author declares: sections, how stable each is, and the prompt that they form.

Decides the order of layers, the names of sections and which declarations contradict themselves. Knows neither how a
template is rendered (rendering.py), nor which variables it may use (variables.py), nor files (directory.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, get_args

from agentcache.errors import DeclarationError
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.model_facts import Ttl

if TYPE_CHECKING:
    from os import PathLike

RESERVED_NAMES = frozenset({"messages", "output", "tools"})
"""The ledger counts under these names the tokens of text that no author declared: `output` is the description of the
expected answer that a call may append (runtime/requests.py)."""


class Stability(StrEnum):
    """How often a section changes; the layers of a prompt stand in this order."""

    STATIC = "static"
    """The same in every run."""
    SEMI_STATIC = "semi_static"
    """The same for every run inside one refresh window."""
    SESSION = "session"
    """The same within one run or conversation."""
    TURN = "turn"
    """Other with every call; rendered into the newest user message, never into `system`."""

    @cached_property
    def rank(self) -> int:
        """Place in layer order: 0 for static, the most stable, to 3 for turn."""
        return tuple(Stability).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A named piece of prompt from one Jinja template.

    name: unique within its prompt; stands in reports and messages.
    template: the template text itself.
    stability: `None` takes the layer that the section is declared under.
    breakpoint: the author's explicit mark behind this section, with its lifetime; `None` leaves it to the planner.
    source: the file that the text was read from, for messages; `None` for text declared in Python.
    parting: up to the end of this section other agents send the same bytes, and others behind it; a `Team` sets it.

    Raises `DeclarationError` for an empty or reserved name, a template that is no text, or an unknown stability or
    lifetime.
    """

    name: str
    template: str
    stability: Stability | None = None
    breakpoint: Ttl | None = None
    source: str | None = None
    parting: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise DeclarationError(f"a section is named {self.name!r}; give it a name of at least one letter")
        if self.name in RESERVED_NAMES:
            raise DeclarationError(
                f"section name {self.name!r} is taken by reports for text outside sections; rename it"
            )
        if not isinstance(self.template, str):
            raise DeclarationError(f"{self.label}: the template is a {type(self.template).__name__}; give its text")
        if self.breakpoint is not None and self.breakpoint not in get_args(Ttl):
            raise DeclarationError(f"{self.label}: a breakpoint lasts '5m' or '1h', not {self.breakpoint!r}")
        if self.stability is not None:
            object.__setattr__(self, "stability", _stability(self.stability, self.label))

    @property
    def label(self) -> str:
        """What messages call this template: its file, else its name."""
        return self.source or self.name


def _stability(value: str, label: str) -> Stability:
    try:
        return Stability(value)
    except ValueError:
        known = ", ".join(repr(layer.value) for layer in Stability)
        raise DeclarationError(f"{label}: {value!r} is no stability; use one of {known}") from None


SectionLike: TypeAlias = str | Section | Sequence[str | Section]
"""One layer as an author gives it: a template text, a `Section`, or several of either."""


@dataclass(frozen=True, slots=True, init=False)
class Prompt:
    """The sections of one agent, in layer order; an immutable value.

    sections: static, semi_static, session, turn, whatever order they were declared in; inside a layer, declaration
        order. Every section knows its stability.
    includes: template name -> text, for `{% include %}`, `{% import %}` and `{% extends %}`.
    declared: layer -> names of variables declared for it beforehand (`[variables.<layer>]` of agent.toml).
    examples: layer -> example values of those variables.
    """

    sections: tuple[Section, ...]
    includes: Mapping[str, str] = field(hash=False, repr=False)
    declared: Mapping[Stability, frozenset[str]] = field(hash=False, repr=False)
    examples: Mapping[Stability, Mapping[str, JsonValue]] = field(hash=False, repr=False)

    def __init__(
        self,
        *,
        static: SectionLike | None = None,
        semi_static: SectionLike | None = None,
        session: SectionLike | None = None,
        turn: SectionLike | None = None,
        includes: Mapping[str, str] | None = None,
        declared: Mapping[Stability, frozenset[str]] | None = None,
        examples: Mapping[Stability, Mapping[str, JsonValue]] | None = None,
    ) -> None:
        """Declare a prompt; a text alone is named after its layer (`static`), one of several also by its place.

        A variable with an example counts as declared. Raises `DeclarationError` for two sections of one name, for a
        section given under a layer that is not its stability, and for anything that is no section.
        """
        layers = zip(Stability, (static, semi_static, session, turn), strict=True)
        sections = tuple(section for stability, given in layers for section in _layer(stability, given))
        _check_names(sections)
        declared, examples = declared or {}, examples or {}
        values: dict[str, object] = {
            "sections": sections,
            "includes": MappingProxyType(dict(includes or {})),
            "declared": MappingProxyType(
                {layer: frozenset(declared.get(layer, ())) | frozenset(examples.get(layer, ())) for layer in Stability}
            ),
            "examples": MappingProxyType(
                {layer: MappingProxyType(dict(examples.get(layer, {}))) for layer in Stability}
            ),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_dir(cls, path: str | PathLike[str]) -> Prompt:
        """Read a prompt directory: `static*.j2`, `semi_static*.j2`, `session*.j2`, `turn*.j2`.

        A file's name without `.j2` names its section; `static_2.j2` stands before `static_10.j2`. Every other `.j2`
        file in or below the directory may be included by its path from there, and every one in or below the sibling
        directory `shared` as `shared/...`. An optional agent.toml declares variables with examples.

        Raises `TargetError` for a directory or file that cannot be read or used, and `TemplateError` for a file that
        is no UTF-8.
        """
        # Imported here because it builds prompts, and because this module must load without the file system.
        from agentcache.prompt.directory import read_prompt

        return read_prompt(path)

    def layer(self, stability: Stability) -> tuple[Section, ...]:
        """Return the sections of one layer in declaration order."""
        return tuple(section for section in self.sections if section.stability is stability)


def _layer(stability: Stability, given: SectionLike | None) -> list[Section]:
    if given is None:
        return []
    items = [given] if isinstance(given, str | Section) else given
    if not isinstance(items, Sequence):
        raise DeclarationError(
            f"the {stability} layer is a {type(given).__name__}; give a template text, a Section, or a list of them"
        )
    alone = len(items) == 1
    return [
        _section(stability, item, name=stability.value if alone else f"{stability.value}_{place}")
        for place, item in enumerate(items, start=1)
    ]


def _section(stability: Stability, item: str | Section, *, name: str) -> Section:
    if isinstance(item, str):
        return Section(name=name, template=item, stability=stability)
    if not isinstance(item, Section):
        raise DeclarationError(f"the {stability} layer holds a {type(item).__name__}; give template texts or Sections")
    if item.stability not in {None, stability}:
        raise DeclarationError(
            f"{item.label}: section {item.name!r} is {item.stability}, but is given under {stability}; "
            f"give it under `{item.stability}=`, or change its stability"
        )
    return replace(item, stability=stability)


def _check_names(sections: Sequence[Section]) -> None:
    seen: dict[str, Section] = {}
    for section in sections:
        first = seen.setdefault(section.name, section)
        if first is not section:
            raise DeclarationError(
                f"two sections are named {section.name!r}: {_origin(first)} and {_origin(section)}; rename one"
            )


def _origin(section: Section) -> str:
    return f"one in the {section.stability} layer" + (f" ({section.source})" if section.source else "")
