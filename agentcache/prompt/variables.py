"""Which layer may use which variable: checked on the templates' syntax, before anything is rendered.

A layer may use its own variables and those of more stable layers. Decides which layer a name belongs to, and what to
say when a section uses one that it may not or that nothing provides. What a template uses is found in
template_uses.py; values are not known here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from agentcache.errors import MissingVariable, VariableLayerError
from agentcache.prompt.sandbox import template_environment
from agentcache.prompt.sections import Prompt, Section, Stability
from agentcache.prompt.template_uses import Scans, Use

_PROVIDE = {
    Stability.STATIC: "pass `{}` in `variables`",
    Stability.SEMI_STATIC: "give `{}` in `semi_static`",
    Stability.SESSION: "pass `{}` in `session`",
    Stability.TURN: "pass `{}` in `turn`",
}


def check_variables(
    prompt: Prompt, *, static: Collection[str], semi_static: Collection[str] | None
) -> Mapping[Stability, frozenset[str]]:
    """Check every use of a variable and return, for each layer, the names that it must provide.

    static, semi_static: the names that the agent provides; `semi_static=None` means a callable, whose names are open
    until a snapshot is taken. Any other name belongs to the layer that declares it (`prompt.declared`), else to the
    most stable of the layers that use it and are open: semi_static under a callable, session, turn.

    A use that does without the variable (`x | default(...)`, or `x is defined` somewhere in the same template) does
    not make it required. Every macro of an imported template counts, called or not.

    Raises `VariableLayerError` for a variable of a less stable layer than the section that uses it, `MissingVariable`
    for one that nothing provides, and `TemplateError` for an included template that is not there or whose name is no
    constant; all name template, line and variable.
    """
    environment = template_environment(prompt.includes)
    scans = Scans(environment, prompt.includes, sections={_file_name(section) for section in prompt.sections})
    sites = [
        _Site(layer=layer, section=section, use=use)
        for layer in Stability
        for section in prompt.layer(layer)
        for use in scans.of_section(section)
    ]
    owners = _Owners(prompt.declared, sites, static=static, semi_static=semi_static)
    needed: dict[Stability, set[str]] = {layer: set() for layer in Stability}
    for site in sites:
        owner = owners.check(site)
        if owner is not None and not site.use.optional:
            needed[owner].add(site.use.name)
    return {layer: frozenset(names) for layer, names in needed.items()}


def _file_name(section: Section) -> str:
    return section.label.replace("\\", "/").rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """A use and the section whose text it becomes part of."""

    layer: Stability
    section: Section
    use: Use

    def layer_error(self, owner: Stability) -> VariableLayerError:
        """Return the error for a use of a variable that belongs to the less stable `owner`."""
        *others, last = [layer.value for layer in Stability if layer.rank <= self.layer.rank]
        allowed = f"{', '.join(others)} and {last}" if others else last
        return VariableLayerError(
            f"{self._where()} is a {owner} variable, and a {self.layer} section{self._including()} may use {allowed} "
            f"variables only; move the sentence to a {owner} section, or {_PROVIDE[self.layer].format(self.use.name)}",
            template=self.use.template,
            line=self.use.line,
        )

    def missing_error(self, owner: Stability | None) -> MissingVariable:
        """Return the error for a use of a variable that nothing provides, not even the `owner` that declares it."""
        if self.use.isolated:
            problem = f"does not reach a template that is imported without context{self._including()}"
            remedy = "hand it to the macro as an argument, or write `with context` behind the import"
        elif owner is not None:
            problem = f"is declared as a {owner} variable{self._including()}, but the agent does not provide it"
            remedy = _PROVIDE[owner].format(self.use.name)
        else:
            problem = f"is used in a {self.layer} section{self._including()}, and no layer provides it"
            remedy = (
                f"{_PROVIDE[self.layer].format(self.use.name)}, move the sentence to a session section if runs differ "
                f"in it, or write `{self.use.name} | default(...)`"
            )
        message = f"{self._where()} {problem}; {remedy}"
        return MissingVariable(message, template=self.use.template, line=self.use.line)

    def _where(self) -> str:
        return f"{self.use.template}, line {self.use.line}: `{self.use.name}`"

    def _including(self) -> str:
        return "" if self.use.template == self.section.label else f" ({self.section.label}, which includes this)"


class _Owners:
    """Which layer each name belongs to, and whether it really comes from there."""

    def __init__(
        self,
        declared: Mapping[Stability, frozenset[str]],
        sites: Iterable[_Site],
        *,
        static: Collection[str],
        semi_static: Collection[str] | None,
    ) -> None:
        self._declared = declared
        self._provided: dict[Stability, Collection[str]] = {Stability.STATIC: static}
        if semi_static is not None:
            self._provided[Stability.SEMI_STATIC] = semi_static
        self._users: dict[str, set[Stability]] = {}
        for site in sites:
            if not site.use.optional and not site.use.isolated:
                self._users.setdefault(site.use.name, set()).add(site.layer)

    def check(self, site: _Site) -> Stability | None:
        """Return the layer that provides the variable, `None` for an optional one that none does; else raise."""
        owner = None if site.use.isolated else self._owner(site.use.name)
        if owner is not None and owner.rank > site.layer.rank:
            raise site.layer_error(owner)
        if not site.use.optional and (owner is None or not self._comes_from(owner, site.use.name)):
            raise site.missing_error(owner)
        return owner

    def _owner(self, name: str) -> Stability | None:
        users = self._users.get(name, set())
        owners = [
            *(layer for layer, names in self._provided.items() if name in names),
            *(layer for layer in Stability if name in self._declared[layer]),
            *(layer for layer in Stability if layer in users and layer not in self._provided),
        ]
        return owners[0] if owners else None

    def _comes_from(self, layer: Stability, name: str) -> bool:
        return layer not in self._provided or name in self._provided[layer]
