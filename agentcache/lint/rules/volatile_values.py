"""Rules about values that vary shown in layers that should not: clocks, ids, users, machines, counters, chance."""

from __future__ import annotations

from agentcache.lint.rules.rule import Rule
from agentcache.lint.rules.shown import check_for

_CACHING = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching"
_SKILL = "https://github.com/anthropics/skills/blob/main/skills/claude-api/shared/prompt-caching.md"
_CUMULATIVE = (
    "The API finds a cached prefix by a digest over every byte from the start, so one byte that differs makes "
    "everything behind it be written again instead of read."
)

RULES: tuple[Rule, ...] = (
    Rule(
        code="PC001",
        what="Finds the time of day shown in the static or semi-static layer: `now()`, `utcnow()`, `{% now %}`, "
        "a clock "
        "that a run hands in, a text that counts from now (`timeago`).",
        why=f"{_CUMULATIVE} A clock differs in every request, so nothing behind it is ever read.",
        bad="You answer questions about orders.\nIt is now {{ now().isoformat() }}.\n",
        good="You answer questions about orders.\nThe newest message says what time it is.\n",
        references=(_CACHING, "https://github.com/earendil-works/pi/issues/1873"),
        check=check_for("PC001", "a clock differs in every request, so nothing behind it is ever read from the cache"),
    ),
    Rule(
        code="PC002",
        what="Finds the current day shown in the static layer: `date.today()`, a clock printed to the day, `today`.",
        why=f"{_CUMULATIVE} At midnight, and at midnight of each time zone, every prefix of the fleet is rewritten at "
        "once. The semi-static layer may hold a day, since it is refreshed anyway.",
        bad="Today is {{ date.today() }}.\nYou answer questions about orders.\n",
        good="You answer questions about orders.\nThe first message says what day it is.\n",
        references=(_CACHING, "https://github.com/aaif-goose/goose/pull/2434"),
        check=check_for("PC002", "at midnight all prefixes with this day in them are written again"),
    ),
    Rule(
        code="PC003",
        what="Finds ids that are made anew for a request, a message or a run: `uuid4()`, a request, trace or "
        "session id, "
        "a nonce.",
        why=f"{_CUMULATIVE} An id is unique, so everything behind it misses for certain.",
        bad="Request {{ uuid4() }}\nYou answer questions about orders.\n",
        good="You answer questions about orders.\n",
        references=(_SKILL,),
        check=check_for("PC003", "an id is unique, so everything behind it misses for certain"),
    ),
    Rule(
        code="PC004",
        what="Finds who the user is (name, e-mail, tenant, account) in a layer that all users share.",
        why=f"{_CUMULATIVE} With a name in it there is one prefix for each user: tools and instructions are written "
        "again for everybody.",
        bad="You help {{ user_name }} with orders.\n",
        good="You help the customer named below with orders.\n",
        references=(_SKILL, "https://github.com/dust-tt/dust/pull/28420"),
        check=check_for("PC004", "with it there is one prefix for each user, and none is shared"),
    ),
    Rule(
        code="PC006",
        what="Finds the machine and its settings in a shared layer: host name, working directory, environment "
        "variables, "
        "process id, pod, temporary paths.",
        why=f"{_CUMULATIVE} Every replica and every working directory gets a prefix of its own: ten pods are ten cold "
        "caches.",
        bad="Working directory: {{ os.getcwd() }}\n",
        good="Paths are relative to the root of the repository.\n",
        references=("https://github.com/netease-lcap/wave-agent/pull/1206",),
        check=check_for("PC006", "every machine and directory gets a prefix of its own"),
    ),
    Rule(
        code="PC007",
        what="Finds the state of a repository in a shared layer: commit, branch, status, whether it is dirty.",
        why=f"{_CUMULATIVE} The state changes with every edit and commit, and stands in front of the whole history.",
        bad="Repository at {{ git_sha }}.\n",
        good="Ask `git status` before you change files.\n",
        references=("https://github.com/anthropics/claude-code/issues/47107",),
        check=check_for("PC007", "it changes with every edit or commit, in front of the whole history"),
    ),
    Rule(
        code="PC008",
        what="Finds what counts on with every call: turns, steps, attempts, budget left, tokens used.",
        why=f"{_CUMULATIVE} A counter differs in every call, so no call reads what the one before wrote.",
        bad="This is step {{ step_number }} of your work.\n",
        good="Work in small steps.\n",
        references=("https://github.com/bubbuild/bub/issues/76",),
        check=check_for("PC008", "it counts on with every call, so no call reads what the one before wrote"),
    ),
    Rule(
        code="PC009",
        what="Finds what is looked up for one question or changes by itself: retrieved passages, memories, "
        "prices, news.",
        why=f"{_CUMULATIVE} What is found depends on the question, so the system text differs from turn to turn "
        "and the "
        "history behind it is never read.",
        bad="{% for passage in retrieve(question) %}\n{{ passage.text }}\n{% endfor %}\n",
        good="Use the tool `search` to look things up.\n",
        references=("https://github.com/open-webui/open-webui/pull/25150",),
        check=check_for("PC009", "it differs from question to question, and the history behind it is never read"),
    ),
    Rule(
        code="PC010",
        what="Finds text of a shared layer that a flag, plan, group or other session value switches on and off, also "
        "through an alias, an inline `if` or a filter of a loop.",
        why=f"{_CUMULATIVE} n switches make up to 2^n prefixes, each written for itself.",
        bad="You issue credit up to 20 pounds.\n{% if is_lead %}\nYou may go up to 75 pounds.\n{% endif %}\n",
        good="You issue credit up to 20 pounds, and up to 75 if the session says that you speak to a lead.\n",
        references=(_SKILL, "https://github.com/can1357/oh-my-pi/issues/5992"),
        check=check_for("PC010", "each outcome is another prefix, written for itself"),
    ),
    Rule(
        code="PC011",
        what="Finds chance: `|random`, `shuffle`, `random.choice(...)`, `lipsum()`, unless a fixed seed settles it.",
        why=f"{_CUMULATIVE} The text differs from render to render, although nothing that it says does.",
        bad="{% for example in examples|shuffle %}\n- {{ example }}\n{% endfor %}\n",
        good="{% for example in examples %}\n- {{ example }}\n{% endfor %}\n",
        references=(_SKILL,),
        check=check_for("PC011", "the text differs from render to render"),
    ),
)
