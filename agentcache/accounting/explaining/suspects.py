"""What `explain` suspects between two calls, and what it says of a whole family of them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from agentcache.accounting.mistakes import MISTAKES, Severity
from agentcache.prompt.provenance import SectionChange


class Suspect(NamedTuple):
    """A cause seen between two calls. excerpt: what it was and what it became, shortened."""

    code: str
    where: str
    cause: str
    """The API's word (`system_changed`, ...), or a finer one where it has none."""
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One root cause in one family of calls, told at the first call that it hit.

    call: index in the log. calls: how many it hit. lost_tokens: prompt tokens that could have been read and were not,
    over all of them; `None` when the log has no usage. lost_usd: at list prices, `None` when the model has none.
    """

    code: str
    where: str
    cause: str
    severity: Severity
    call: int
    continues: int | None
    """The earlier call that it should have continued."""
    calls: int
    agent: str | None
    before: str
    after: str
    lost_tokens: int | None
    lost_usd: Decimal | None
    layer: str | None = None
    """The layer of the section at `where`, in a log that the runtime wrote; `None` in others."""
    change: SectionChange | None = None
    """Where in its template the section parts, in such a log."""

    @property
    def name(self) -> str:
        """The cause's short name."""
        return MISTAKES[self.code].name

    @property
    def fix(self) -> str:
        """What to do, in words."""
        return MISTAKES[self.code].fix

    @property
    def message(self) -> str:
        """One sentence for people."""
        since = "" if self.continues is None else f" and does not read what call {self.continues} left in the cache"
        again = "" if self.calls == 1 else f"; {self.calls} calls in all"
        words = "" if self.change is None else f": {self.change.words()}"
        return f"call {self.call}: {self.name.replace('-', ' ')} at {self.where}{words}{since}{again}"
