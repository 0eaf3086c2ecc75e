"""Prompt directories drawn at random: every kind of paragraph that a fix might move, sort, normalise or leave alone."""

from __future__ import annotations

from hypothesis import strategies as st

from agentcache.lint.agent_sources import AgentSources
from agentcache.prompt.canonical import JsonValue
from tests.lint.fixes.mending import agent

VARIABLES: dict[str, dict[str, JsonValue]] = {
    "static": {
        "company": "Acme",
        "tags": ["beta", "Alpha", "gamma"],
        "limits": {"upload": 5, "Chat": 7},
        "examples": ["first case", "second case"],
    },
    "semi_static": {"release": "12", "owners": ["ledger", "risk"]},
    "session": {
        "user_name": "Ana Lima",
        "region": "south",
        "flags": {"citations": True, "brief": False},
        "open_files": ["a.py", "b.py"],
    },
    "turn": {"turn_number": 3, "last_result": "no rows"},
}
TYPES = {"tags": "set", "limits": "dict:unordered"}

_WORDS = st.sampled_from(["answer", "briefly", "quote", "the", "source", "never", "guess", "ask", "before", "you"])
_PROSE = st.lists(_WORDS, min_size=2, max_size=9).map(lambda words: " ".join(words).capitalize() + ".")
_VALUES = st.sampled_from(
    [
        *("company", "release", "user_name", "region|upper", "turn_number", "last_result|truncate(20)"),
        *("now()", "uuid4()", "owners|join(', ')", "tags|join(', ')", "tags", "limits", "examples|random"),
        *("env.HOSTNAME", "'Be brief.' if flags.brief", "unknown_thing", "price|format_decimal"),
    ]
)
_LOOPS = st.sampled_from(["open_files", "tags", "limits", "limits.items()", "owners", "tags if company", "examples"])


def _line(prose: str, value: str) -> str:
    return f"{prose} It is {{{{ {value} }}}} now."


def _loop(over: str) -> str:
    return f"{{% for each in {over} %}}\n- {{{{ each }}}}\n{{% endfor %}}"


_MARKED = st.builds(
    lambda prose, value, marks: f"{prose} {{{{{marks[0]} {value} {marks[1]}}}}}",
    _PROSE,
    _VALUES,
    st.tuples(st.sampled_from(["", "-"]), st.sampled_from(["", "-"])),
)
_FIXED = st.sampled_from(
    [
        *("# Part", "## Style", "### Notes", "Files in view:", "- one\n- two", "```\ncode\n\nmore code\n```"),
        *(
            "<rules>\n\nBe kind.\n\n</rules>",
            "{% raw %}{{ kept }}{% endraw %}",
            "{# a note #}",
            "{% include 'part.j2' %}",
        ),
        *("{% if flags.citations %}\nQuote sources.\n{% endif %}", "{% if release %}\n\nSee notes.\n\n{% endif %}"),
        *(
            "{% set who = user_name %}",
            "Address {{ who|default('them') }}.",
            "{% set firm = company %}",
            "At {{ firm }}.",
        ),
        *("{% macro sign(word) %}{{ word }} {{ user_name }}{% endmacro %}", "Sign {{ sign('yours') if sign }}."),
        *("{% with place = region %}\nNear {{ place }}.\n{% endwith %}", "{% set ns = namespace(n=1) %}N {{ ns.n }}"),
        *("<user>\n{{ user_name }}\n</user>", "{%- if flags.brief %} short{% endif -%}", "Trailing blanks.  "),
        *("Zero\u200bwidth.", "Cafe\u0301 opens.", "Ends{% if release %} well{% endif %}  \nand goes on."),
        *("one\r\ntwo", "Current time: 2026-11-20T14:03:22Z", "<open>\n{{ user_name }}"),
    ]
)
_LONG = st.builds(
    lambda title, start: (
        f"{title}\n" + "\n".join(f"{number}. Step {number} of the manual." for number in range(start, 90))
    ),
    st.sampled_from(["## Manual", "The manual:", "### Reference"]),
    st.sampled_from([1, 2, 40]),
)
"""Long enough to be worth caching, or not quite; drawn twice it is a copy."""
PARAGRAPHS = st.one_of(_PROSE, st.builds(_line, _PROSE, _VALUES), _LOOPS.map(_loop), _MARKED, _FIXED, _LONG)
_TEXTS = st.builds(
    lambda paragraphs, gap, end: gap.join(paragraphs) + end,
    st.lists(PARAGRAPHS, min_size=1, max_size=7),
    st.sampled_from(["\n\n", "\n\n\n", "\n", "\r\n\r\n"]),
    st.sampled_from(["", "\n"]),
)
_LAYERS = st.lists(
    st.sampled_from(["static", "semi_static", "session", "turn"]), min_size=1, max_size=4, unique=True
).map(lambda layers: sorted(layers, key=["static", "semi_static", "session", "turn"].index))


@st.composite
def prompt_directories(draw: st.DrawFn) -> AgentSources:
    """Draw one agent's prompt directory."""
    texts = {layer: draw(_TEXTS) for layer in draw(_LAYERS)}
    part = draw(st.sampled_from(["Part of it.", "Part for {{ user_name }}.", "Part at {{ now() }}."]))
    return agent({**texts, "part.j2": part}, VARIABLES, TYPES)
