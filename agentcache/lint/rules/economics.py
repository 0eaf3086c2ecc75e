"""Rules about time and money: lifetimes, fan-outs, warming, forks. `explain` finds them in traffic with its times."""

from __future__ import annotations

from agentcache.lint.rules.references import CACHING_SKILL, PRICING, PROMPT_CACHING
from agentcache.lint.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    Rule(
        code="PC050",
        what="The pause between two calls was longer than the lifetime of what the first one wrote.",
        why="The lifetime, five minutes or an hour, counts from the start of the request that wrote or read"
        " last, so a long answer uses some of it up. A user who comes back later is no fault; a steady"
        " rhythm just above the lifetime pays for a write each time.",
        bad='cache_control = {"type": "ephemeral"}                # and a call every seven minutes',
        good='cache_control = {"type": "ephemeral", "ttl": "1h"}   # or a keep-alive, or nothing where pauses are rare',
        references=(PROMPT_CACHING, PRICING),
        check=None,
    ),
    Rule(
        code="PC051",
        what="Several calls with the same new prefix are sent at once.",
        why="An entry can be read when the response that wrote it has begun. Of n calls that start together"
        " each writes the prefix, at 1.25 or 2 times the price of input, in place of one write and n - 1"
        " reads.",
        bad="await asyncio.gather(*(ask(item) for item in items))",
        good="answers = await run.map(agent, items)   # sends one, waits for its first token, then the rest",
        references=(CACHING_SKILL, PROMPT_CACHING, "https://github.com/lvlup-sw/exarchos/issues/1815"),
        check=None,
    ),
    Rule(
        code="PC052",
        what="A call that was to warm the cache differs from those that it was for: the breakpoint stands on the"
        " placeholder, or tools, thinking or effort are others.",
        why="An entry is found by what stands in front of it and the settings that shape it. The warm one is"
        " paid for and never read.",
        bad='warm(system=system, messages=[{"role": "user", "content": [marked("warming up")]}])',
        good="warm(system=[..., marked(last_shared_block)], tools=tools, thinking=thinking,\n"
        '     messages=[{"role": "user", "content": "warming up"}])',
        references=(PROMPT_CACHING,),
        check=None,
    ),
    Rule(
        code="PC053",
        what="A call beside a conversation (a summary, a sub-agent that is given the history, a question in"
        " passing) has tools, system text or model of its own in front of the same messages.",
        why="Tools and system text come first. When they differ, nothing of the history is read, and the"
        " longest prompt there is gets written a second time for one answer.",
        bad='summarise(system="You summarise.", messages=[*history, request])',
        good="# all of the parent's, verbatim\nask(model, tools=tools, system=system, messages=[*history, request])",
        references=(CACHING_SKILL, "https://github.com/OpenHands/software-agent-sdk/issues/2972"),
        check=None,
    ),
    Rule(
        code="PC054",
        what="Everything works and costs more than it has to: an hour's lifetime where calls follow within"
        " seconds, five minutes where they come every seven, breakpoints on prompts that are sent once.",
        why="A write costs 1.25 times the price of input, for an hour 2 times, and earns that back with the"
        " first and the second read. Without reads the premium is lost.",
        bad='cache_control = {"type": "ephemeral", "ttl": "1h"}   # a batch of prompts that have nothing in common',
        good="# no breakpoint on what is sent once; the lifetime by the usual time from one start to the next",
        references=(PRICING, PROMPT_CACHING),
        check=None,
    ),
)
