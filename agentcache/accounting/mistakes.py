"""The catalogue of mistakes that cost cache reads: the code, name, severity and fix of each.

Codes are stable. `explain` finds them in traffic, the linter in what an author wrote; both name them alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "info"]


class Mistake(NamedTuple):
    """A kind of mistake. The codes are the project's stable catalogue."""

    name: str
    severity: Severity
    fix: str


MISTAKES: Mapping[str, Mistake] = MappingProxyType(
    {
        "PC001": Mistake("clock-in-prefix", "error", "put the time in the newest user turn, or freeze it per session"),
        "PC002": Mistake("date-in-prefix", "warning", "put the date in the first user turn, frozen per session"),
        "PC003": Mistake("request-id-in-prefix", "error", "send ids in metadata or headers, never in prompt text"),
        "PC004": Mistake("user-identity-in-prefix", "error", "move identity behind the shared breakpoint"),
        "PC005": Mistake(
            "session-var-in-static", "error", "move the value into the session layer, behind what is shared"
        ),
        "PC006": Mistake(
            "host-env-in-prefix", "warning", "send host and paths in the session layer, frozen at its start"
        ),
        "PC007": Mistake("git-state-in-prefix", "error", "send the repository's state once, in a user turn"),
        "PC008": Mistake("counter-in-prefix", "error", "append the counter behind the newest tool result"),
        "PC009": Mistake(
            "live-or-retrieved-data-in-prefix",
            "error",
            "append the data to the user turn that needs it, or give a tool",
        ),
        "PC010": Mistake(
            "conditional-section", "warning", "render every variant, or move the switch to the session layer"
        ),
        "PC011": Mistake("random-sampling", "error", "choose the sample once, from a fixed seed"),
        "PC012": Mistake("unordered-set", "error", "sort what is joined"),
        "PC013": Mistake("unordered-dict", "warning", "sort the keys before rendering"),
        "PC014": Mistake("byte-variance", "warning", "normalise text once: NFC, LF, no trailing white space"),
        "PC015": Mistake("locale-formatting", "warning", "format numbers and dates with one explicit locale and zone"),
        "PC016": Mistake("object-repr", "error", "render the object's fields, not its default representation"),
        "PC017": Mistake("dynamic-include", "error", "include by constant names; move the choice to the session layer"),
        "PC018": Mistake(
            "system-edited", "error", "append a system message instead, and keep system blocks as they are"
        ),
        "PC019": Mistake("tools-reordered", "error", "sort the tools by name, or freeze the list per session"),
        "PC020": Mistake(
            "tool-set-changed", "error", "keep one list of tools and refuse in the handler; or defer loading"
        ),
        "PC021": Mistake("tool-schema-key-order", "error", "serialise schemas once and reuse the bytes"),
        "PC022": Mistake(
            "tool-text-volatile", "error", "keep names and descriptions constant; put notes in the messages"
        ),
        "PC023": Mistake("tool-schema-changed", "error", "pin each schema for the session; sort its enums"),
        "PC024": Mistake("web-search-toggled", "warning", "always declare the tool and steer its use by instruction"),
        "PC025": Mistake("history-edited", "error", "only append to the history; compact rarely and in one step"),
        "PC026": Mistake("sliding-window", "error", "summarise in large steps instead of trimming each turn"),
        "PC027": Mistake(
            "compaction", "warning", "compact when the savings outweigh one rewrite; keep the head marked"
        ),
        "PC028": Mistake("tool-use-key-order", "error", "send assistant content back exactly as it came"),
        "PC029": Mistake("resend-altered", "error", "store response content and replay it unchanged"),
        "PC030": Mistake("thinking-dropped", "error", "pass thinking blocks back complete and unmodified"),
        "PC031": Mistake(
            "thinking-stripped-by-api", "warning", "use a model that keeps thinking; keep the head marked"
        ),
        "PC032": Mistake(
            "reminder-injected-then-removed", "error", "leave old copies in place, or use turn-scoped messages"
        ),
        "PC033": Mistake("image-toggled", "warning", "keep images in place"),
        "PC034": Mistake("image-reencoded", "error", "encode a picture once and keep the text, or use a file id"),
        "PC035": Mistake("first-message-volatile", "error", "freeze the first message when the session starts"),
        "PC036": Mistake("model-changed", "error", "keep one model per conversation; give cheap steps to a sub-agent"),
        "PC037": Mistake("tool-choice-changed", "warning", "hold tool_choice constant; steer by instruction"),
        "PC038": Mistake("thinking-config-changed", "error", "pin mode and budget of thinking per conversation"),
        "PC039": Mistake("effort-changed", "error", "pin the effort, or change it by a per-message setting"),
        "PC040": Mistake("speed-or-beta-changed", "warning", "hold speed, betas and context management constant"),
        "PC041": Mistake("citations-toggled", "warning", "hold citations constant per conversation"),
        "PC042": Mistake("workspace-changed", "error", "route a session to one workspace, account and region"),
        "PC043": Mistake("no-breakpoint", "error", "ask for automatic caching, or mark the last system block"),
        "PC044": Mistake(
            "breakpoint-on-varying-block", "error", "mark the last block that is the same in every request"
        ),
        "PC045": Mistake("breakpoint-lost", "error", "let one code path place the markers, and assert their count"),
        "PC046": Mistake("history-uncached", "warning", "add a rolling breakpoint on the newest turn"),
        "PC047": Mistake("lookback-exceeded", "error", "place an intermediate breakpoint about every 15 positions"),
        "PC048": Mistake("below-minimum", "warning", "grow or merge the marked section, or drop the marker"),
        "PC049": Mistake(
            "invalid-markers", "error", "at most four markers, 1h before 5m, on tools and text blocks only"
        ),
        "PC050": Mistake("ttl-expired", "info", "use the 1h lifetime or a keep-alive for such gaps, or accept it"),
        "PC051": Mistake("concurrent-cold-write", "warning", "send one, await its first token, then send the rest"),
        "PC052": Mistake(
            "prewarm-mismatch", "warning", "warm with the same head and settings, marked on its last block"
        ),
        "PC053": Mistake("fork-mismatch", "error", "copy the parent's tools, system and model, and append"),
        "PC054": Mistake("cache-economics", "info", "choose the lifetime by the gaps; do not mark what is sent once"),
        "PC055": Mistake(
            "static-after-volatile",
            "warning",
            "move the stable text in front of the first value that varies, into a more stable layer",
        ),
        "PC056": Mistake("duplicated-section", "info", "keep one copy, in the most stable layer"),
        "PC057": Mistake(
            "volatile-in-session-layer", "error", "move the value to the turn layer, into the newest user message"
        ),
        "PC058": Mistake("undeclared-variable", "warning", "declare the variable in the layer that provides it"),
        "PC059": Mistake("literal-stamp", "info", "take the stamp out, or move it to metadata"),
        "PC060": Mistake("layer-order", "warning", "move the text to the semi-static layer"),
    }
)
