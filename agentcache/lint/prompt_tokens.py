"""How long the parts of a prompt are in the order in which they are sent: an estimate for the agent's model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentcache.lint.renders import RenderedLayer
from agentcache.lint.syntax import Problem
from agentcache.lint.tools_json import ToolsText
from agentcache.prompt.model_facts import ModelFacts
from agentcache.prompt.sections import Stability
from agentcache.prompt.token_estimate import block_tokens, text_tokens, tool_prompt_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTokens:
    """Estimated tokens. tools: with the hidden prompt that comes with any tool, 0 without tools.

    sections: of each rendered section that goes to `system`, in order, the turn layer left out. complete: false where
    a template could not be rendered to its end, so that the numbers are too low.
    """

    facts: ModelFacts
    tools: int
    sections: tuple[tuple[RenderedLayer, int], ...]
    complete: bool

    @property
    def prefix(self) -> int:
        """Tokens of everything in front of the messages."""
        return self.tools + sum(tokens for _, tokens in self.sections)

    def through(self, layer: Stability) -> int:
        """Return the tokens from the start to the end of a layer."""
        return self.tools + sum(tokens for section, tokens in self.sections if section.layer.rank <= layer.rank)


def prompt_tokens(
    facts: ModelFacts, tools: ToolsText | Problem | None, sections: Sequence[RenderedLayer], *, complete: bool
) -> PromptTokens:
    """Return how long the rendered sections and the tools are. complete: whether every template could be rendered."""
    sent = tuple(section for section in sections if section.layer is not Stability.TURN)
    return PromptTokens(
        facts=facts,
        tools=_tools(tools, facts) if isinstance(tools, ToolsText) else 0,
        sections=tuple((section, text_tokens(section.text, facts)) for section in sent),
        complete=complete and not isinstance(tools, Problem) and not any(section.ended for section in sent),
    )


def _tools(tools: ToolsText, facts: ModelFacts) -> int:
    tokens = sum(block_tokens(tool.definition, facts) for tool in tools.tools)
    return tokens + tool_prompt_tokens(facts) if tools.tools else 0
