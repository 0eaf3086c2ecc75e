"""The words of a rendered prompt, counted: what a safe fix may move about and never add or lose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from unicodedata import normalize

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.renders import render_layers
from agentcache.lint.syntax import parse_sources

INVISIBLE = "\u200b\u2060\ufeff\u00ad\u200e\u200f"
"""Characters that stand inside words and are no part of them. Joiners (U+200C, U+200D) are: scripts need them."""

_WORD = re.compile(r"\w+")
_WITHOUT_INVISIBLE = str.maketrans("", "", INVISIBLE)


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
    return Counter(
        word for text in texts for word in _WORD.findall(normalize("NFC", text.translate(_WITHOUT_INVISIBLE)))
    )
