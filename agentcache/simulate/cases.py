"""Traffic made ready to be billed: each call as the planner sees it and as the judge sees it.

The planner's view is a layout. The judge's view (the emulator's) is made from the request alone, with its own
hashing, so that neither can agree with the other's mistakes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import is_not

from agentcache.accounting.bound import BoundCall
from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.positions import PlacedPrompt, PromptReader, Scope
from agentcache.emulator.prompt_cache import CachePrompt, Marker
from agentcache.emulator.refusals import ApiError
from agentcache.emulator.request import MessagesRequest, Place
from agentcache.errors import DeclarationError, TargetError
from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json
from agentcache.prompt.layout import Layout, Level, lay_out
from agentcache.prompt.model_facts import ModelFacts, Prices
from agentcache.prompt.rendering import RenderedSection
from agentcache.prompt.sections import Stability
from agentcache.simulate.sent_requests import RequestShaper
from agentcache.simulate.traffic import TrafficCall

_PROMPT_KEYS = frozenset({"tools", "system", "messages", "cache_control"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One call, ready to be planned and billed.

    `bare` is its request without any marker, `placed` what the judge reads from it. `recorded` are the markers that
    the record had, as positions of the judge; `None` when the API refuses the request as recorded.
    """

    call: TrafficCall
    facts: ModelFacts
    bare: JsonObject
    layout: Layout
    placed: PlacedPrompt
    recorded: tuple[Marker, ...] | None
    prices: Prices | None

    @property
    def prompt(self) -> CachePrompt:
        """The unmarked prompt as the judge sees it."""
        return self.placed.prompt

    def position(self, block: int) -> int | None:
        """Return the judge's position of a block of the layout; `None` for one that is in no cache key."""
        found = self.layout.blocks[block]
        return self.placed.places.get((found.level, found.index, found.content_index or 0))

    def bound_call(self) -> BoundCall | None:
        """Return the call as the bound sees it; `None` when its model has no price."""
        if self.prices is None:
            return None
        positions = self.prompt.positions
        ends = [position.tokens for position in positions]
        # What follows the last block (where the answer begins) is in no prefix and is paid by every policy alike.
        tokens = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
        rest = self.prompt.total_tokens - (ends[-1] if ends else 0)
        return BoundCall(
            scope="",
            digests=[position.digest.hex() for position in positions],
            tokens=tokens,
            rest_tokens=rest,
            minimum_tokens=self.prompt.minimum_tokens,
            at_s=self.call.at_s,
            first_token_at_s=self.call.first_token_at_s,
            prices=self.prices,
        )


@dataclass(slots=True, kw_only=True)
class CaseReader:
    """Turns traffic into cases, in order. Objects that calls share are looked at once.

    totals_recorded: take each prompt's total from the recorded usage and stretch the estimate to it.
    """

    totals_recorded: bool = False
    settings: CacheSettings = field(default_factory=CacheSettings)
    _reader: PromptReader = field(init=False)
    _shaper: RequestShaper = field(default_factory=RequestShaper)
    _layouts: dict[str, Layout] = field(default_factory=dict)
    _bare: dict[int, tuple[JsonValue, JsonValue]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._reader = PromptReader(self.settings, remembers_objects=True)

    def cases(self, calls: Iterable[TrafficCall]) -> Iterator[Case]:
        """Yield a case for each call. Raises `TargetError` for a body that is no Messages request."""
        for number, call in enumerate(calls):
            try:
                yield self._case(call)
            except (TargetError, DeclarationError) as error:
                raise TargetError(f"call {number} (t={call.at_s:g}): {error}") from error

    def _case(self, call: TrafficCall) -> Case:
        bare = self._without_markers(call.request)
        betas = _betas(call.headers)
        nested = self.settings.nested_markers_count
        request = self._shaper.shape(bare, betas=betas, nested_count=nested)
        scope = Scope(workspace=call.headers.get("anthropic-workspace-id", "default"))
        placed = self._reader.read_placed(request, scope, total_tokens=self._total(call))
        layout = self._layout(call, request)
        return Case(
            call=call,
            facts=request.facts,
            bare=bare,
            layout=layout,
            placed=placed,
            recorded=self._recorded(call.request, placed.places, betas=betas),
            prices=request.facts.prices_for(prompt_tokens=placed.prompt.total_tokens),
        )

    def _recorded(
        self, request: JsonObject, places: Mapping[Place, int], *, betas: frozenset[str]
    ) -> tuple[Marker, ...] | None:
        try:
            marked = self._shaper.shape(request, betas=betas, nested_count=self.settings.nested_markers_count)
        except ApiError:
            return None
        return tuple(Marker(places[marker.place], marker.ttl) for marker in marked.markers)

    def _total(self, call: TrafficCall) -> int | None:
        if not self.totals_recorded:
            return None
        usage = call.response_usage
        if usage is None:
            raise TargetError(f"call at t={call.at_s:g} has no recorded usage, which `--totals recorded` needs")
        counts = (usage.get(f"{name}input_tokens") for name in ("", "cache_creation_", "cache_read_"))
        return sum(count for count in counts if isinstance(count, int))

    def _layout(self, call: TrafficCall, request: MessagesRequest) -> Layout:
        key = call.conversation or f"{call.agent}/{call.run}"
        layout = lay_out(
            facts=request.facts,
            tools=request.tools,
            system=[_section(index, block) for index, block in enumerate(request.system)],
            messages=_objects(request.body["messages"]),
            previous=self._layouts.get(key),
            level_salts=_salts(request.body),
        )
        self._layouts[key] = layout
        return layout

    def _without_markers(self, request: JsonObject) -> JsonObject:
        bare = {key: value for key, value in request.items() if key != "cache_control"}
        for key in ("tools", "system", "messages"):
            value = bare.get(key)
            if isinstance(value, list):
                bare[key] = [self._unmarked(item) for item in value]
        return bare

    def _unmarked(self, item: JsonValue) -> JsonValue:
        """Return `item` (a tool, block or message) without markers; the same object for the same object."""
        known = self._bare.get(id(item))
        if known is not None and known[0] is item:
            return known[1]
        bare = _unmarked(item)
        self._bare[id(item)] = (item, bare)
        return bare


def _unmarked(item: JsonValue) -> JsonValue:
    if not isinstance(item, dict):
        return item
    content = item.get("content")
    blocks = [_unmarked(block) for block in content] if isinstance(content, list) else None
    changed = isinstance(content, list) and blocks is not None and any(map(is_not, blocks, content))
    if "cache_control" not in item and not changed:
        return item
    bare = {key: value for key, value in item.items() if key != "cache_control"}
    if blocks is not None:
        bare["content"] = blocks
    return bare


def _salts(body: JsonObject) -> dict[Level, str]:
    output = body.get("output_config")
    effort = output.get("effort") if isinstance(output, dict) else None
    form = output.get("format") if isinstance(output, dict) else None
    return {
        "system": canonical_json([body.get("speed"), form]),
        "messages": canonical_json([body.get("tool_choice"), body.get("thinking"), effort]),
    }


def _section(index: int, block: JsonObject) -> RenderedSection:
    return RenderedSection(
        name=f"system[{index}]", stability=Stability.STATIC, text=str(block.get("text", "")), breakpoint=None
    )


def _objects(value: JsonValue) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _betas(headers: Mapping[str, str]) -> frozenset[str]:
    named = headers.get("anthropic-beta", "")
    return frozenset(name.strip() for name in named.split(",") if name.strip())
