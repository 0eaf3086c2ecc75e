"""Rules about values that stay the same and yet come out as other text: order, locale, memory addresses, includes."""

from __future__ import annotations

from agentcache.lint.rules.rule import Rule
from agentcache.lint.rules.shown import check_for

_CACHING = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching"
_SKILL = "https://github.com/anthropics/skills/blob/main/skills/claude-api/shared/prompt-caching.md"

RULES: tuple[Rule, ...] = (
    Rule(
        code="PC012",
        what="Finds a set that is shown, joined or walked through without a sort.",
        why="Python orders sets of text by a hash that is salted in every process: within one worker the prompt looks "
        "stable, and the next worker sends other bytes and reads nothing.",
        bad="Topics: {{ topics|join(', ') }}\n",
        good="Topics: {{ topics|sort|join(', ') }}\n",
        references=("https://docs.python.org/3/reference/datamodel.html#object.__hash__", _SKILL),
        check=check_for("PC012", "a set has another order in every process"),
    ),
    Rule(
        code="PC013",
        what="Finds a dict whose keys come in no fixed order (from a database, from JSON of other programs), shown or "
        "walked through without a sort.",
        why="Equal dicts that were built in another order give other bytes, and everything behind them is "
        "written again.",
        bad="{% for name, limit in limits.items() %}\n- {{ name }}: {{ limit }}\n{% endfor %}\n",
        good="{% for name, limit in limits|dictsort %}\n- {{ name }}: {{ limit }}\n{% endfor %}\n",
        references=("https://github.com/stanfordnlp/dspy/issues/10216",),
        check=check_for("PC013", "its keys come in the order in which somebody put them in"),
    ),
    Rule(
        code="PC015",
        what="Finds numbers, money and dates formatted by the locale or time zone of the process or the user.",
        why="The same value gives other bytes on another host or for another user.",
        bad="Limit: {{ limit|format_currency('GBP') }}\n",
        good="Limit: {{ limit|format_currency('GBP', locale='en_GB') }}\n",
        references=("https://github.com/earendil-works/pi/issues/1873",),
        check=check_for("PC015", "the same value comes out as other text under another locale or time zone"),
    ),
    Rule(
        code="PC016",
        what="Finds objects shown without a text of their own (`<Retriever object at 0x7f…>`), `id()` and `hash()`.",
        why="A memory address and a salted hash differ in every process.",
        bad="Retriever: {{ retriever }}\n",
        good="Retriever: {{ retriever.name }}\n",
        references=("https://docs.python.org/3/library/functions.html#repr", _SKILL),
        check=check_for("PC016", "its text is a memory address or a salted hash, another one in every process"),
    ),
    Rule(
        code="PC017",
        what="Finds include, import and extends whose template a session value names, and those that bring in a "
        "template "
        "which shows values that vary.",
        why="Every choice is another prefix, and what a partial shows is not seen by whoever reviews the layer.",
        bad="{% include persona_file %}\n",
        good="{% include 'personas/calm.j2' %}\n",
        references=(_CACHING,),
        check=check_for("PC017", "every choice and every value in there is another prefix"),
    ),
)
