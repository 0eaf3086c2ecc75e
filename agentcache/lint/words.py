"""The words of a rendered prompt, counted: what a safe fix may move about and never add or lose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from unicodedata import category, normalize

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.renders import render_layers
from agentcache.lint.syntax import parse_sources

_WORD = re.compile(r"\w+")
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""What Unicode counts as letters or marks although nothing is seen of them."""


def prompt_words(sources: AgentSources) -> Mapping[str, int] | None:
    """Return how often each word stands in all layers and the tools together, rendered with the example values.

    A word is letters, digits and underscores, composed (NFC): order and punctuation do not count. `None` where
    rendering had to be stopped.
    """
    rendered = render_layers(sources, parse_sources(sources))
    if any(layer.ended is not None for layer in rendered):
        return None
    texts = [layer.text for layer in rendered]
    if sources.tools is not None:
        texts.append(sources.tools.text)
    return Counter(word for text in texts for word in _WORD.findall(_shown(text)))


def _shown(text: str) -> str:
    """Return the text without what has no shape, which may stand inside a word and is no part of it."""
    if text.isascii():
        return text
    return "".join(letter for letter in normalize("NFC", text) if category(letter) != "Cf" and letter not in _FILLERS)
