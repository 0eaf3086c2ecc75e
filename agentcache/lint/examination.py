"""What rules look at: one agent's prompt, and all that is found out about it, each thing once.

Decides nothing itself; each property says which module does.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from agentcache.lint.agent_sources import AgentSources, LayerFile
from agentcache.lint.differences import overlooked
from agentcache.lint.duplicates import Copy, copies
from agentcache.lint.flow.shown_values import Flow, flow_of
from agentcache.lint.origins import Print
from agentcache.lint.prompt_tokens import PromptTokens, prompt_tokens
from agentcache.lint.renders import RenderedLayer, render_layers
from agentcache.lint.syntax import ParsedTemplate, Problem, parse_sources
from agentcache.lint.text_flow import FlowPiece, pieces
from agentcache.lint.tools_json import ToolsText, read_tools
from agentcache.lint.verdicts import Verdict, unplaced, verdicts_on
from agentcache.prompt.model_facts import ModelFacts, facts_for
from agentcache.prompt.sections import Stability


class Examination:
    """One agent's prompt under examination."""

    def __init__(self, sources: AgentSources) -> None:
        self.sources = sources
        self._pieces: dict[str, tuple[FlowPiece, ...]] = {}

    @cached_property
    def facts(self) -> ModelFacts | None:
        """The facts of the agent's model, `None` where nothing says which it is."""
        return None if self.sources.model is None else facts_for(self.sources.model)

    @cached_property
    def parsed(self) -> Mapping[str, ParsedTemplate]:
        """Every template by its name, layers first, parsed (syntax.py)."""
        return parse_sources(self.sources)

    @cached_property
    def prints(self) -> tuple[Print, ...]:
        """Where values that vary reach the text, in order of layers and places (flow.py)."""
        return self.flow.prints

    @cached_property
    def flow(self) -> Flow:
        """The prints, and the sections in which not all could be followed (flow.py)."""
        return flow_of(self.sources, self.parsed)

    @cached_property
    def layers(self) -> tuple[RenderedLayer, ...]:
        """Every section rendered with the example values, in order (renders.py)."""
        return render_layers(self.sources, self.parsed)

    @cached_property
    def tools(self) -> ToolsText | Problem | None:
        """The tools with the places of all that is in them (tools_json.py), `None` where there are none."""
        return None if self.sources.tools is None else read_tools(self.sources.tools)

    @cached_property
    def tokens(self) -> PromptTokens | None:
        """How long tools and sections are (prompt_tokens.py), `None` where nothing says for which model."""
        if self.facts is None:
            return None
        complete = all(parsed.problem is None for parsed in self.parsed.values())
        return prompt_tokens(self.facts, self.tools, self.layers, complete=complete)

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Which of the prints are mistakes, and by which code (verdicts.py), and what only renders show."""
        prints = (*self.prints, *overlooked(self.sources, self.parsed, self.layers, self.prints))
        return verdicts_on(unplaced(prints) if self._layer_is_assumed else prints)

    def pieces_of(self, file: LayerFile) -> tuple[FlowPiece, ...]:
        """Return what a section prints: text, and the places of what its own layer makes vary (text_flow.py)."""
        known = self._pieces.get(file.name)
        if known is None:
            declared = self.sources.variables
            constant = {name for layer, named in declared.items() if layer.rank < file.layer.rank for name in named}
            known = self._pieces[file.name] = pieces(self.parsed[file.name], self.parsed, constant)
        return known

    @property
    def _layer_is_assumed(self) -> bool:
        """Whether this is a single template whose name says no layer (reading.py)."""
        return not self.sources.complete and not any(
            file.name.startswith(tuple(layer.value for layer in Stability)) for file in self.sources.layers
        )

    @cached_property
    def copies(self) -> tuple[Copy, ...]:
        """Texts that stand twice in the rendered sections (duplicates.py)."""
        return copies(self.layers)
