"""Four layers, from what never changes to what changes with each call.

    agentcache run examples/02_layers.py:two_passengers --emulate

The handbook (static) and the notices of the day (semi-static) are written to the cache once; the second passenger's
call reads them. A passenger's name (session) stands behind both, and the time of a question (turn) goes into the
message, never into `system`, so neither disturbs what is shared.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentcache import Agent, Prompt, Run, workflow


def notices() -> dict[str, object]:
    """Return today's values; called at most once in each refresh window, so that all runs in it share their bytes."""
    return {"notices": ["Saint Bride: wind warning for the evening boats."]}


desk = Agent(
    name="desk",
    model="claude-haiku-5-5",
    prompt=Prompt(
        static=[(Path(__file__).parent / "handbook.md").read_text(encoding="utf-8"), "Answer in {{ language }}."],
        semi_static="Notices in force:\n{% for notice in notices %}\n- {{ notice }}\n{% endfor %}",
        session="The passenger's name is {{ passenger }}; their ticket is for {{ route }}.",
        turn="Asked at {{ time }}.",
    ),
    variables={"language": "English"},
    semi_static=notices,
    refresh="30m",
)


@workflow
async def two_passengers(run: Run) -> list[dict[str, object]]:
    """Answer two passengers one after the other; return what each call wrote to the cache and read from it."""
    rows: list[dict[str, object]] = []
    for passenger, route, time in (("Ana", "Ellen Island", "09:10"), ("Bo", "Saint Bride", "09:12")):
        result = await run.ask_result(
            desk,
            "May I take my dog?",
            session={"passenger": passenger, "route": route},
            turn={"time": time},
        )
        used = result.usage
        rows.append({"passenger": passenger, "written": used.cache_write_tokens, "read": used.cache_read_tokens})
    return rows


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for the model: the same answer for everybody."""
    return "Yes: dogs travel free, on a lead, on the outer deck and in the stern saloon."
