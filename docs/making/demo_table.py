"""Put the demo's table, and the day, into README.md.

make demo-table                                        # runs the demo, then this
make demo | python docs/making/demo_table.py           # the same from an output at hand
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
HEAD = "agent                "
TABLE = re.compile(rf"\(on \d{{4}}-\d\d-\d\d; (.*?)```\n{HEAD}.*?```", re.DOTALL)


def with_table(readme: str, demo: str, day: str) -> str:
    """Return the README with the table that stands at the end of what the demo printed.

    Raises `ValueError` when there is no table in either.
    """
    found = re.search(rf"^{HEAD}.*", demo, re.DOTALL | re.MULTILINE)
    if found is None or TABLE.search(readme) is None:
        raise ValueError(f"no table in {'the demo' if found is None else 'the README'}")
    table = "\n".join(line.rstrip() for line in found.group().strip().splitlines())
    return TABLE.sub(lambda old: f"(on {day}; {old[1]}```\n{table}\n```", readme)


if __name__ == "__main__":
    text = with_table(README.read_text(encoding="utf-8"), sys.stdin.read(), f"{datetime.now(UTC):%Y-%m-%d}")
    README.write_text(text, encoding="utf-8")
