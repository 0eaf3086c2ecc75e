"""Rules about what the linter itself reads: templates that do not parse, and comments that ignore findings.

The templates are looked at in linting.py, the comments in suppressions.py; here is what their findings mean.
"""

from __future__ import annotations

from agentcache.lint.codes import IGNORE_OF_NOTHING, IGNORE_WITHOUT_REASON, UNREADABLE, UNUSED_IGNORE
from agentcache.lint.rules.rule import Rule

_GUIDE = "docs/lint.md"

RULES: tuple[Rule, ...] = (
    Rule(
        code=UNREADABLE,
        what="A template or a tools.json does not parse, or a template makes more work than any prompt does. Tags, "
        "filters and tests that are unknown are no reason; a syntax error is.",
        why="No other rule has looked at the whole file, so that it is clean says nothing. It cannot be left out by a"
        " selection.",
        bad="{% if plan == 'pro' %}Be thorough.",
        good="{% if plan == 'pro' %}Be thorough.{% endif %}",
        references=("https://jinja.palletsprojects.com/en/stable/templates/",),
        check=None,
    ),
    Rule(
        code=UNUSED_IGNORE,
        what="A comment ignores a code that is not found there.",
        why="The mistake was mended, or the comment stands in the wrong line. Left there, it would hide the next one.",
        bad="{# agentcache: ignore PC001 the page shows when it was built #}\nBuilt with care.",
        good="Built with care.",
        references=(_GUIDE,),
        check=None,
    ),
    Rule(
        code=IGNORE_WITHOUT_REASON,
        what="A comment ignores a code and does not say why that is no mistake. It ignores nothing.",
        why="Whoever reads the template next cannot tell a decision from an annoyance.",
        bad="{# agentcache: ignore PC002 #}\nToday is {{ today }}.",
        good="{# agentcache: ignore PC002 each day has its own menu, and the fleet restarts at midnight #}\n"
        "Today is {{ today }}.",
        references=(_GUIDE,),
        check=None,
    ),
    Rule(
        code=IGNORE_OF_NOTHING,
        what="A comment names no code, or one that does not exist.",
        why="It ignores nothing, though it looks as if it did.",
        bad="{# agentcache: ignore the date is meant #}",
        good="{# agentcache: ignore PC002 the date is meant #}",
        references=(_GUIDE,),
        check=None,
    ),
)
