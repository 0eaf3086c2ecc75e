"""What `explain` can find: the code, name and fix of each cause, and the finding itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, NamedTuple

from agentcache.prompt.provenance import SectionChange

Severity = Literal["error", "warning", "info"]


class Cause(NamedTuple):
    """A kind of mistake. The codes are the project's stable catalogue."""

    name: str
    severity: Severity
    fix: str


CAUSES: Mapping[str, Cause] = MappingProxyType(
    {
        "PC001": Cause("clock-in-prefix", "error", "put the time in the newest user turn, or freeze it per session"),
        "PC002": Cause("date-in-prefix", "warning", "put the date in the first user turn, frozen per session"),
        "PC003": Cause("request-id-in-prefix", "error", "send ids in metadata or headers, never in prompt text"),
        "PC004": Cause("user-identity-in-prefix", "error", "move identity behind the shared breakpoint"),
        "PC005": Cause(
            "session-var-in-static", "error", "move the value into the session layer, behind what is shared"
        ),
        "PC006": Cause(
            "host-env-in-prefix", "warning", "send host and paths in the session layer, frozen at its start"
        ),
        "PC007": Cause("git-state-in-prefix", "error", "send the repository's state once, in a user turn"),
        "PC008": Cause("counter-in-prefix", "error", "append the counter behind the newest tool result"),
        "PC009": Cause(
            "live-or-retrieved-data-in-prefix",
            "error",
            "append the data to the user turn that needs it, or give a tool",
        ),
        "PC010": Cause(
            "conditional-section", "warning", "render every variant, or move the switch to the session layer"
        ),
        "PC011": Cause("random-sampling", "error", "choose the sample once, from a fixed seed"),
        "PC012": Cause("unordered-set", "error", "sort what is joined"),
        "PC013": Cause("unordered-dict", "warning", "sort the keys before rendering"),
        "PC014": Cause("byte-variance", "warning", "normalise text once: NFC, LF, no trailing white space"),
        "PC015": Cause("locale-formatting", "warning", "format numbers and dates with one explicit locale and zone"),
        "PC016": Cause("object-repr", "error", "render the object's fields, not its default representation"),
        "PC018": Cause("system-edited", "error", "append a system message instead, and keep system blocks as they are"),
        "PC019": Cause("tools-reordered", "error", "sort the tools by name, or freeze the list per session"),
        "PC020": Cause(
            "tool-set-changed", "error", "keep one list of tools and refuse in the handler; or defer loading"
        ),
        "PC021": Cause("tool-schema-key-order", "error", "serialise schemas once and reuse the bytes"),
        "PC022": Cause(
            "tool-text-volatile", "error", "keep names and descriptions constant; put notes in the messages"
        ),
        "PC023": Cause("tool-schema-changed", "error", "pin each schema for the session; sort its enums"),
        "PC024": Cause("web-search-toggled", "warning", "always declare the tool and steer its use by instruction"),
        "PC025": Cause("history-edited", "error", "only append to the history; compact rarely and in one step"),
        "PC026": Cause("sliding-window", "error", "summarise in large steps instead of trimming each turn"),
        "PC027": Cause("compaction", "warning", "compact when the savings outweigh one rewrite; keep the head marked"),
        "PC028": Cause("tool-use-key-order", "error", "send assistant content back exactly as it came"),
        "PC029": Cause("resend-altered", "error", "store response content and replay it unchanged"),
        "PC030": Cause("thinking-dropped", "error", "pass thinking blocks back complete and unmodified"),
        "PC031": Cause("thinking-stripped-by-api", "warning", "use a model that keeps thinking; keep the head marked"),
        "PC032": Cause(
            "reminder-injected-then-removed", "error", "leave old copies in place, or use turn-scoped messages"
        ),
        "PC033": Cause("image-toggled", "warning", "keep images in place"),
        "PC034": Cause("image-reencoded", "error", "encode a picture once and keep the text, or use a file id"),
        "PC035": Cause("first-message-volatile", "error", "freeze the first message when the session starts"),
        "PC036": Cause("model-changed", "error", "keep one model per conversation; give cheap steps to a sub-agent"),
        "PC037": Cause("tool-choice-changed", "warning", "hold tool_choice constant; steer by instruction"),
        "PC038": Cause("thinking-config-changed", "error", "pin mode and budget of thinking per conversation"),
        "PC039": Cause("effort-changed", "error", "pin the effort, or change it by a per-message setting"),
        "PC040": Cause("speed-or-beta-changed", "warning", "hold speed, betas and context management constant"),
        "PC041": Cause("citations-toggled", "warning", "hold citations constant per conversation"),
        "PC042": Cause("workspace-changed", "error", "route a session to one workspace, account and region"),
        "PC043": Cause("no-breakpoint", "error", "ask for automatic caching, or mark the last system block"),
        "PC044": Cause("breakpoint-on-varying-block", "error", "mark the last block that is the same in every request"),
        "PC045": Cause("breakpoint-lost", "error", "let one code path place the markers, and assert their count"),
        "PC046": Cause("history-uncached", "warning", "add a rolling breakpoint on the newest turn"),
        "PC047": Cause("lookback-exceeded", "error", "place an intermediate breakpoint about every 15 positions"),
        "PC048": Cause("below-minimum", "warning", "grow or merge the marked section, or drop the marker"),
        "PC050": Cause("ttl-expired", "info", "use the 1h lifetime or a keep-alive for such gaps, or accept it"),
        "PC051": Cause("concurrent-cold-write", "warning", "send one, await its first token, then send the rest"),
        "PC052": Cause("prewarm-mismatch", "warning", "warm with the same head and settings, marked on its last block"),
        "PC053": Cause("fork-mismatch", "error", "copy the parent's tools, system and model, and append"),
        "PC054": Cause("cache-economics", "info", "choose the lifetime by the gaps; do not mark what is sent once"),
    }
)


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
        return CAUSES[self.code].name

    @property
    def fix(self) -> str:
        """What to do, in words."""
        return CAUSES[self.code].fix

    @property
    def message(self) -> str:
        """One sentence for people."""
        since = "" if self.continues is None else f" and does not read what call {self.continues} left in the cache"
        again = "" if self.calls == 1 else f"; {self.calls} calls in all"
        words = "" if self.change is None else f": {self.change.words()}"
        return f"call {self.call}: {self.name.replace('-', ' ')} at {self.where}{words}{since}{again}"
