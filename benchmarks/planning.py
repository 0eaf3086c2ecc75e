"""What it costs to plan a call: history, layout and plan, for conversations of 60, 600 and 6,000 blocks.

    python benchmarks/planning.py [--rounds 30] [--turns 5] [--profile LENGTH]

Each round plans a few turns of a fresh conversation of every length, in turn, so that a busy machine slows all of them
alike; the table shows medians in microseconds. A turn adds a tool call and its result (two blocks) to a prompt whose
earlier messages are the same objects, as in a run. What a part costs for 60 blocks is the work itself; what it costs
more for longer conversations is what grows with their length.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agentcache.prompt.breakpoints import plan
from agentcache.prompt.layout import Layout, lay_out
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.plans import Plan
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.reuse import Reuse
from agentcache.prompt.reuse_history import ReuseHistory
from agentcache.prompt.sections import Stability
from agentcache.prompt.wire import CallSettings, to_request

JsonObject = dict[str, Any]

FACTS = facts_for("claude-sonnet-5-5")
SETTINGS = CallSettings(max_tokens=1000)
PROSE = "The customer asked about an order that is late, and the answer names the line that says so. "
TOOLS: list[JsonObject] = [
    {"name": f"tool_{place}", "description": PROSE * 4, "input_schema": {"type": "object", "properties": {}}}
    for place in range(8)
]
SYSTEM = [
    RenderedSection(name=str(layer), stability=layer, text=f"{layer}: {PROSE * 60}", breakpoint=None)
    for layer in (Stability.STATIC, Stability.SEMI_STATIC, Stability.SESSION)
]
LENGTHS = (60, 600, 6000)
PARTS = ("history", "layout", "plan", "sent", "request", "record")
PLANNING = PARTS[:4]


def turn(number: int) -> list[JsonObject]:
    """Return what one turn adds: two blocks."""
    name, use = f"tool_{number % 8}", f"toolu_{number}"
    call = {"type": "tool_use", "id": use, "name": name, "input": {"number": number}}
    result = {"type": "tool_result", "tool_use_id": use, "content": PROSE * 5}
    return [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]


@dataclass
class Conversation:
    """A conversation that a run would hold; `took_s` gathers the seconds that each part of planning its calls took."""

    blocks: int
    took_s: dict[str, list[float]]
    messages: list[JsonObject] = field(default_factory=lambda: [{"role": "user", "content": PROSE}])
    history: ReuseHistory = field(default_factory=ReuseHistory)
    layout: Layout | None = None
    now_s: float = 0.0

    def __post_init__(self) -> None:
        for number in range((self.blocks - len(TOOLS) - len(SYSTEM)) // 2):
            self.messages += turn(number)
        took_s, self.took_s = self.took_s, {part: [] for part in PARTS}
        self.call()
        self.took_s = took_s

    def call(self) -> None:
        """Plan the next call and time each part."""
        self.now_s += 5.0
        layout = self._timed("layout", self._lay_out)
        known: Reuse = self._timed("history", lambda: self.history.before_call(layout, agent="clerk", at_s=self.now_s))
        made: Plan = self._timed("plan", lambda: plan(layout, FACTS, known, policy="auto"))
        marks = [(point.block, point.ttl) for point in made.kept]
        self._timed("sent", lambda: self.history.call_sent(layout, marks, agent="clerk", at_s=self.now_s))
        self._timed("request", lambda: to_request(layout, made, SETTINGS))
        self._timed("record", lambda: (made.to_json(), layout.section_tokens()))
        self.layout = layout

    def _lay_out(self) -> Layout:
        return lay_out(facts=FACTS, tools=TOOLS, system=SYSTEM, messages=self.messages, previous=self.layout)

    def _timed(self, part: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        value = work()
        self.took_s[part].append(time.perf_counter() - started)
        return value

    def turns(self, count: int) -> None:
        """Plan `count` calls, each a turn longer than the last."""
        for number in range(count):
            self.messages += turn(100_000 + number)
            self.call()


def medians_us(took_s: dict[str, list[float]]) -> dict[str, float]:
    """Return each part's median in microseconds, and that of planning as a whole."""
    medians = {part: 1e6 * statistics.median(times) for part, times in took_s.items()}
    return {**medians, "planning": sum(medians[part] for part in PLANNING)}


def table(took_s: dict[int, dict[str, list[float]]]) -> str:
    columns = (*PLANNING, "planning", "request", "record")
    lines = ["  ".join([f"{'blocks':>7}", *(f"{name:>9}" for name in columns)])]
    for length, times in took_s.items():
        medians = medians_us(times)
        lines.append("  ".join([f"{length:>7,}", *(f"{medians[name]:>9.1f}" for name in columns)]))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="What it costs to plan a call.")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--turns", type=int, default=5, help="turns of every conversation in a round")
    parser.add_argument("--profile", type=int, metavar="LENGTH", help="profile the conversation of this length instead")
    asked = parser.parse_args()
    if asked.profile:
        conversation = Conversation(asked.profile, {part: [] for part in PARTS})
        with cProfile.Profile() as profile:
            conversation.turns(asked.rounds * asked.turns)
        pstats.Stats(profile).sort_stats("tottime").print_stats(15)
        return
    took_s: dict[int, dict[str, list[float]]] = {length: {part: [] for part in PARTS} for length in LENGTHS}
    for _ in range(asked.rounds):
        for length in LENGTHS:
            Conversation(length, took_s[length]).turns(asked.turns)
    print("Median microseconds a call; planning = history + layout + plan + sent.")
    print(table(took_s))


if __name__ == "__main__":
    main()
