"""How long the linter takes for a thousand templates, start of the process included.

    python benchmarks/lint_speed.py [--templates 1000] [--rounds 5]

Writes prompt directories of realistic sizes (four templates each, 1,000 to 6,000 characters, one directory in five with
mistakes) and prints medians: of the command as a user runs it, and of each stage inside one process. Processor time
stands beside time on the clock, since other work on the machine stretches the second more than the first.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from agentcache.lint.examination import Examination
from agentcache.lint.linting import lint
from agentcache.lint.reading import read_agents
from agentcache.lint.syntax import parse_file

WORDS = [
    "answer",
    "ask",
    "before",
    "behind",
    "booking",
    "careful",
    "change",
    "check",
    "clear",
    "customer",
    "decide",
    "describe",
    "each",
    "explain",
    "file",
    "finding",
    "first",
    "follow",
    "guest",
    "name",
    "never",
    "note",
    "number",
    "offer",
    "one",
    "only",
    "order",
    "other",
    "plan",
    "point",
    "policy",
    "prefer",
    "question",
    "quote",
    "reason",
    "record",
    "refund",
    "repeat",
    "report",
    "request",
    "result",
    "return",
    "rule",
    "say",
    "search",
    "send",
    "short",
    "show",
    "state",
    "step",
    "stop",
    "store",
    "table",
    "task",
    "team",
    "text",
    "that",
    "the",
    "then",
    "they",
    "this",
    "ticket",
    "tool",
    "two",
    "under",
    "until",
    "use",
    "value",
    "verify",
    "wait",
    "when",
    "which",
    "with",
    "word",
    "write",
]
MISTAKES = (
    "It is {{ now() }}.",
    "Customer: {{ customer_name }}",
    "{% if beta %}\nUse the beta.\n{% endif %}",
    "Turn {{ turn }}",
)


def paragraph(chance: random.Random, sentences: int) -> str:
    made = (" ".join(chance.choices(WORDS, k=chance.randint(8, 20))).capitalize() + "." for _ in range(sentences))
    return " ".join(made)


def section(chance: random.Random) -> str:
    lines = [f"## {' '.join(chance.choices(WORDS, k=2)).capitalize()}", paragraph(chance, chance.randint(2, 5))]
    lines += [f"- {paragraph(chance, 1)}" for _ in range(chance.randint(0, 6))]
    return "\n".join(lines)


def write_agent(folder: Path, chance: random.Random, *, wrong: bool) -> None:
    folder.mkdir(parents=True)
    static = [section(chance) for _ in range(chance.randint(2, 8))]
    static.append("{% for rule in rules %}\n{{ loop.index }}. {{ rule|trim }}\n{% endfor %}\n{{ product|upper }}")
    if wrong:
        static.insert(1, chance.choice(MISTAKES))
    parts = {
        "static.j2": "{% include 'voice.j2' %}\n" + "\n\n".join(static),
        "voice.j2": "{% macro rule(n, text) %}R{{ n }}. {{ text }}{% endmacro %}\n"
        + section(chance)
        + "\n{{ rule(1, 'Wait.') }}",
        "semi_static.j2": section(chance)
        + "\nCatalogue {{ edition }}\n{% for row in rows %}\n- {{ row.name }}: {{ row.price }}\n{% endfor %}",
        "session.j2": "Customer: {{ customer_name }}\n{% if beta %}\nBeta.\n{% endif %}\n" + section(chance),
    }
    for name, text in parts.items():
        (folder / name).write_text(text + "\n", encoding="utf-8")
    (folder / "agent.toml").write_text(
        """model = "claude-opus-5"
[variables.static]
rules = ["One.", "Two."]
product = "tents"
[variables.semi_static]
edition = "7"
rows = [{ name = "a", price = 2 }, { name = "b", price = 3 }]
[variables.session]
customer_name = "Ana"
beta = true
[variables.turn]
turn = 3
[environment]
globals = ["now"]
""",
        encoding="utf-8",
    )


class Took(NamedTuple):
    """Milliseconds on the clock, and of the processor (of child processes too)."""

    wall: float
    processor: float


def took(work: Callable[[], object]) -> Took:
    parse_file.cache_clear()
    start, used = time.perf_counter(), processor_seconds()
    work()
    return Took((time.perf_counter() - start) * 1_000, (processor_seconds() - used) * 1_000)


def processor_seconds() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def median(times: Sequence[Took]) -> Took:
    return Took(statistics.median(each.wall for each in times), statistics.median(each.processor for each in times))


def repeated(work: Callable[[], object], rounds: int) -> Took:
    return median([took(work) for _ in range(rounds)])


def command(folder: str) -> Callable[[], object]:
    call = [sys.executable, "-m", "agentcache", "lint", "--format", "json", folder]
    return lambda: subprocess.run(call, capture_output=True, check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--templates", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    chance = random.Random(8)
    with tempfile.TemporaryDirectory() as root:
        for at in range(options.templates // 4):
            write_agent(Path(root) / f"agent_{at:04}", chance, wrong=at % 5 == 0)
        empty = Path(root) / "agent_0000"
        files = list(Path(root).rglob("*.j2"))
        characters = sum(file.stat().st_size for file in files)
        rows = [
            ("command, one prompt", repeated(command(str(empty)), options.rounds)),
            (f"command, {len(files):,} templates", repeated(command(root), options.rounds)),
        ]
        agents = read_agents([root])
        examined: list[Examination] = []

        def fresh() -> None:
            examined[:] = [Examination(agent) for agent in agents]

        stages: list[tuple[str, Callable[[], object]]] = [
            ("read", lambda: read_agents([root])),
            ("parse", lambda: [each.parsed for each in examined]),
            ("flow", lambda: [each.prints for each in examined]),
            ("render", lambda: [each.layers for each in examined]),
            ("compare renders, as rules do", lambda: [each.verdicts for each in examined]),
            ("tokens", lambda: [each.tokens for each in examined]),
        ]
        for name, work in stages:
            times = []
            for _ in range(options.rounds):
                fresh()
                for _, earlier in stages[1 : [stage for stage, _ in stages].index(name)]:
                    earlier()
                times.append(took(work))
            rows.append((name, median(times)))
        rows.append(("all rules, in one process", repeated(lambda: lint(agents), options.rounds)))
        print(
            f"{len(files):,} templates, {characters:,} characters, {len(lint(agents)):,} findings; "
            f"median of {options.rounds}"
        )
    print(f"{'':32} {'wall ms':>9} {'processor ms':>13}")
    for name, times_taken in rows:
        print(f"{name:32} {times_taken.wall:9,.0f} {times_taken.processor:13,.0f}")


if __name__ == "__main__":
    main()
