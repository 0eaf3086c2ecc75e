"""Tools that the API runs itself: web search, web fetch, code execution, tool search. Declared here, never called.

A declaration stands in an agent's `tools` beside functions. The model's use of it and the results come back within
one reply, and go back with the history as they came. Fields and versions: types of the SDK 2.12.0
(`ToolUnionParam`). Where their definitions stand in the prompt is the layout's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from agentcache.errors import ToolDeclarationError
from agentcache.prompt.canonical import JsonObject, JsonValue

SearchVersion = Literal["20250305", "20260209", "20260318"]
FetchVersion = Literal["20250910", "20260209", "20260309", "20260318"]
CodeVersion = Literal["20250522", "20250825", "20260120", "20260521"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTool:
    """A tool that the API runs. Made with `web_search`, `web_fetch`, `code_execution` or `tool_search`.

    name: as the model calls it. kind: its `type` on the wire. options: further fields of its definition.
    """

    name: str
    kind: str
    options: tuple[tuple[str, JsonValue], ...] = ()
    _definition: JsonObject = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        definition: JsonObject = {"type": self.kind, "name": self.name, **dict(self.options)}
        object.__setattr__(self, "_definition", definition)

    def definition(self) -> JsonObject:
        """Return the tool as the API takes it. Always the same object; leave it as it is."""
        return self._definition


def web_search(
    *,
    max_uses: int | None = None,
    allowed_domains: Sequence[str] = (),
    blocked_domains: Sequence[str] = (),
    country: str | None = None,
    city: str | None = None,
    region: str | None = None,
    timezone: str | None = None,
    version: SearchVersion = "20250305",
) -> ServerTool:
    """Declare the API's web search.

    max_uses: searches in one reply. allowed_domains, blocked_domains: one of the two, or neither. country (two
    letters), city, region, timezone (IANA): where the user is, roughly. version: the oldest by default, which every
    model takes. Searches are billed beside the tokens; the ledger counts them.

    Raises `ToolDeclarationError` for what the API refuses.
    """
    place = {"city": city, "country": country, "region": region, "timezone": timezone}
    given: JsonObject = {key: value for key, value in place.items() if value is not None}
    return ServerTool(
        name="web_search",
        kind=f"web_search_{version}",
        options=(
            *_bounds("web_search", max_uses, allowed_domains, blocked_domains),
            *((("user_location", {"type": "approximate", **given}),) if given else ()),
        ),
    )


def web_fetch(
    *,
    max_uses: int | None = None,
    allowed_domains: Sequence[str] = (),
    blocked_domains: Sequence[str] = (),
    max_content_tokens: int | None = None,
    citations: bool = False,
    version: FetchVersion = "20250910",
) -> ServerTool:
    """Declare the API's web fetch.

    max_uses, allowed_domains, blocked_domains: as for `web_search`. max_content_tokens: where the text of a page is
    cut, roughly. citations: whether fetched documents can be cited. version: as for `web_search`. Raises as
    `web_search` does.
    """
    _at_least_one("web_fetch", "max_content_tokens", max_content_tokens)
    return ServerTool(
        name="web_fetch",
        kind=f"web_fetch_{version}",
        options=(
            *_bounds("web_fetch", max_uses, allowed_domains, blocked_domains),
            *((("citations", {"enabled": True}),) if citations else ()),
            *((("max_content_tokens", max_content_tokens),) if max_content_tokens is not None else ()),
        ),
    )


def code_execution(*, version: CodeVersion = "20250825") -> ServerTool:
    """Declare the API's code execution, in a container that the API keeps for one reply.

    `version` as for `web_search`.
    """
    return ServerTool(name="code_execution", kind=f"code_execution_{version}")


def tool_search(variant: Literal["bm25", "regex"] = "bm25") -> ServerTool:
    """Declare the API's search for deferred tools; `variant` says how: by words (`bm25`) or by regular expressions.

    An agent with deferred tools has the former by itself.
    """
    return ServerTool(name=f"tool_search_tool_{variant}", kind=f"tool_search_tool_{variant}_20251119")


def is_tool_search(tool: object) -> bool:
    """Tell whether `tool` is a tool search of either kind."""
    return isinstance(tool, ServerTool) and tool.kind.startswith("tool_search_tool_")


def _bounds(
    name: str, max_uses: int | None, allowed: Sequence[str], blocked: Sequence[str]
) -> tuple[tuple[str, JsonValue], ...]:
    if allowed and blocked:
        raise ToolDeclarationError(f"{name}: allowed_domains and blocked_domains exclude each other; give one of them")
    _at_least_one(name, "max_uses", max_uses)
    return (
        *((("allowed_domains", _domains(name, allowed)),) if allowed else ()),
        *((("blocked_domains", _domains(name, blocked)),) if blocked else ()),
        *((("max_uses", max_uses),) if max_uses is not None else ()),
    )


def _domains(name: str, domains: Sequence[str]) -> list[JsonValue]:
    if isinstance(domains, str):
        raise ToolDeclarationError(f"{name}: domains are given as the text {domains!r}; write [{domains!r}]")
    wrong = next((domain for domain in domains if not domain or "://" in domain or any(map(str.isspace, domain))), None)
    if wrong is not None:
        raise ToolDeclarationError(f"{name}: {wrong!r} is no domain; write it without a scheme, as 'example.com/docs'")
    return [*sorted(set(domains))]


def _at_least_one(name: str, option: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise ToolDeclarationError(f"{name}: {option} is {value}; it must be at least 1")
