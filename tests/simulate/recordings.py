"""Request logs and traces made by hand, and what `simulate` makes of them, for the tests of this room.

Prompts are counted by the same estimate that the judge counts with; the tests say which parts go into which bucket.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from agentcache.accounting.usage import Usage
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.token_estimate import closing_tokens, message_tokens, text_tokens
from agentcache.simulate.arrivals import Arrivals
from agentcache.simulate.cases import Case, CaseReader
from agentcache.simulate.outcome import Outcome, Simulation
from agentcache.simulate.reading import read_traffic
from agentcache.simulate.replay import Billed, Replay
from agentcache.simulate.traces import TraceOptions

SHARED = Path(os.environ.get("AGENTCACHE_SHARED", Path(__file__).parents[3] / "shared"))
TRACES = SHARED / "traces" / "dev"
needs_traces = pytest.mark.skipif(
    not TRACES.is_dir() and not os.environ.get("CI"), reason=f"the recorded traces are not at {TRACES}"
)

MODEL = "claude-sonnet-4-6"  # minimum 1,024 tokens; reads at 0.1 of the input price
FACTS = facts_for(MODEL)
OPENING = message_tokens("user", FACTS)
ANSWERED = message_tokens("assistant", FACTS)
CLOSING = closing_tokens(FACTS)

Body = dict[str, JsonValue]


def tokens(text: str) -> int:
    """Return how long `text` is to the judge."""
    return text_tokens(text, FACTS)


def prose(words: int, word: str = "word") -> str:
    """Return a text of so many equal words; a thousand of them are more than a minimum, a hundred are not."""
    return " ".join([word] * words)


LONG, SHORT = prose(2000), prose(20)


def mark(ttl: str = "5m") -> Body:
    return {"type": "ephemeral", "ttl": ttl}


def text(content: str, ttl: str | None = None) -> Body:
    """Return a text block, marked when a lifetime is given."""
    block: Body = {"type": "text", "text": content}
    return block if ttl is None else {**block, "cache_control": mark(ttl)}


def user(*content: str | Body) -> Body:
    return {"role": "user", "content": [text(item) if isinstance(item, str) else item for item in content]}


def assistant(*content: str | Body) -> Body:
    return {"role": "assistant", "content": [text(item) if isinstance(item, str) else item for item in content]}


def request(*messages: JsonValue, **fields: JsonValue) -> Body:
    return {"model": MODEL, "max_tokens": 100, "messages": list(messages), **fields}


def line(t: float, body: Mapping[str, JsonValue], **fields: JsonValue) -> Body:
    """Return one line of a request log."""
    return {"t": t, "request": dict(body), **fields}


def write_lines(path: Path, lines: Iterable[Mapping[str, JsonValue]]) -> Path:
    path.write_text("".join(f"{json.dumps(each)}\n" for each in lines), encoding="utf-8")
    return path


def trace(
    messages: Sequence[JsonValue], calls: Sequence[Mapping[str, JsonValue]], **fields: JsonValue
) -> dict[str, JsonValue]:
    """Return a trace of one agent, `helper`, and one thread, `main`."""
    return {
        "trace_id": "t-1",
        "t0": None,
        "agents": [{"name": "helper", "model": MODEL, "system": None, "tools": None, "system_known": True}],
        "threads": [{"id": "main", "agent": "helper", "reason": "start", "messages": list(messages)}],
        "calls": [{"thread": "main", "agent": "helper", "model": MODEL, **call} for call in calls],
        **fields,
    }


def cases_of(path: Path, *, totals_recorded: bool = False, **options: object) -> list[Case]:
    calls = read_traffic([path], TraceOptions(**options))  # type: ignore[arg-type]
    return list(CaseReader(totals_recorded=totals_recorded).cases(calls))


def billed(path: Path, policy: str, *, totals_recorded: bool = False) -> list[Billed]:
    """Return every call of a file under one policy."""
    replay = Replay.of(policy)
    return [replay.bill(case) for case in cases_of(path, totals_recorded=totals_recorded)]


def usages(path: Path, policy: str, *, totals_recorded: bool = False) -> list[Usage | None]:
    return [bill.usage for bill in billed(path, policy, totals_recorded=totals_recorded)]


def simulated(
    paths: Sequence[Path], policies: Sequence[str], *, arrivals: Arrivals = Arrivals.RECORDED, model: str | None = None
) -> Outcome:
    """Return the outcome of policies on files."""
    simulation = Simulation(replays=[Replay.of(name) for name in policies], keep_details=True)
    calls = read_traffic(paths, TraceOptions(model=model, arrivals=arrivals))
    for _ in simulation.run(CaseReader().cases(calls)):
        pass
    return simulation.outcome()


def as_object(value: JsonValue) -> JsonObject:
    assert isinstance(value, dict)
    return value


def as_list(value: JsonValue) -> list[JsonValue]:
    assert isinstance(value, list)
    return value
