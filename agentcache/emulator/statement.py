"""The bill: what each answered request was charged, in the order in which the answers began.

It keeps counts, never text. Prices are no business of the emulator: it states tokens, `accounting` states dollars.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agentcache.emulator.json_values import JsonObject
from agentcache.emulator.prompt_cache import Charge


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One charged request; `started_at` and `first_byte_at` are seconds of the emulator's clock."""

    message_id: str
    request_id: str
    model: str
    workspace: str
    started_at: float
    first_byte_at: float
    charge: Charge
    output_tokens: int
    complete: bool
    """Whether the client was sent the whole answer."""
    usage_told: bool = True
    """Whether the answer says what was charged; a fault can leave it out."""

    def to_json(self) -> JsonObject:
        """Return the line under the names of the Messages API's usage."""
        return {
            "message_id": self.message_id,
            "request_id": self.request_id,
            "model": self.model,
            "workspace": self.workspace,
            "started_at": self.started_at,
            "first_byte_at": self.first_byte_at,
            "input_tokens": self.charge.plain_tokens,
            "cache_creation_input_tokens": self.charge.write_5m_tokens + self.charge.write_1h_tokens,
            "cache_read_input_tokens": self.charge.read_tokens,
            "ephemeral_5m_input_tokens": self.charge.write_5m_tokens,
            "ephemeral_1h_input_tokens": self.charge.write_1h_tokens,
            "output_tokens": self.output_tokens,
            "complete": self.complete,
            "usage_told": self.usage_told,
        }


class Statement:
    """All lines since the last reset."""

    def __init__(self) -> None:
        """Start empty."""
        self._lines: dict[str, StatementLine] = {}

    @property
    def lines(self) -> tuple[StatementLine, ...]:
        """The lines, oldest first."""
        return tuple(self._lines.values())

    def add(self, line: StatementLine) -> None:
        """Add the line of an answer that begins."""
        self._lines[line.message_id] = line

    def mark_complete(self, message_id: str) -> None:
        """Note that the whole answer was sent."""
        self._lines[message_id] = replace(self._lines[message_id], complete=True)

    def mark_untold(self, message_id: str) -> None:
        """Note that the answer leaves its usage out."""
        self._lines[message_id] = replace(self._lines[message_id], usage_told=False)

    def clear(self) -> None:
        """Forget every line."""
        self._lines.clear()

    def to_json(self) -> JsonObject:
        """Return every line and their sum, as `GET /emulator/statement` answers."""
        rows = [line.to_json() for line in self._lines.values()]
        summed = (
            "input_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
            "ephemeral_5m_input_tokens",
            "ephemeral_1h_input_tokens",
            "output_tokens",
        )
        total: JsonObject = {key: sum(_count(row, key) for row in rows) for key in summed}
        return {"lines": [*rows], "total": {"calls": len(rows), **total}}


def _count(row: JsonObject, key: str) -> int:
    value = row[key]
    return value if isinstance(value, int) else 0
