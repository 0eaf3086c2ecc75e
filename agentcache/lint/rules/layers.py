"""Rules about variables in a layer that is more stable than they are, or that no layer declares."""

from __future__ import annotations

from agentcache.lint.rules.rule import Rule
from agentcache.lint.rules.shown import check_for

_CACHING = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching"
_SKILL = "https://github.com/anthropics/skills/blob/main/skills/claude-api/shared/prompt-caching.md"

RULES: tuple[Rule, ...] = (
    Rule(
        code="PC005",
        what="Finds a session or turn variable shown in the static or semi-static layer, also through `set`, `with`, "
        "loops, macros, filters and tables that it chooses from.",
        why="The order of layers must be the order of stability: one session value in front turns all shared "
        "text behind "
        "it into text of that session.",
        bad="Assume region {{ region }} unless told otherwise.\n",
        good="Assume the region that the session names.\n",
        references=(_CACHING, _SKILL),
        check=check_for("PC005", "all that is shared behind it becomes text of one session"),
    ),
    Rule(
        code="PC057",
        what="Finds what changes within a session (turn variables, clocks, ids, counters, chance, live data) in the "
        "session layer.",
        why="The session layer stands in front of the history: a value in it that changes with the turn makes all "
        "messages be written again. A value that is frozen when the session starts is a session variable and is fine.",
        bad="Customer: {{ user_name }}\nTurn {{ turn_number }}\n",
        good="Customer: {{ user_name }}\nSession opened {{ session_started }}\n",
        references=(_CACHING, _SKILL),
        check=check_for("PC057", "it changes within the session and stands in front of the whole history"),
    ),
    Rule(
        code="PC058",
        what="Finds a variable that no layer declares.",
        why="Nobody knows how often it changes; and where Jinja is not strict, a misspelt one is silently empty.",
        bad="House rules: {{ hous_rules }}\n",
        good="House rules: {{ house_rules }}\n",
        references=("https://jinja.palletsprojects.com/en/stable/templates/#variables",),
        check=check_for("PC058", "no layer declares it, so nobody knows how often it changes"),
    ),
    Rule(
        code="PC060",
        what="Finds a semi-static variable shown in the static layer.",
        why="The static layer then lives no longer than the semi-static one: each reload writes all layers again.",
        bad="You know catalogue {{ catalogue_version }}.\n",
        good="You know the catalogue that is named below.\n",
        references=(_CACHING,),
        check=check_for("PC060", "each refresh of it writes the static layer again, and all layers behind"),
    ),
)
