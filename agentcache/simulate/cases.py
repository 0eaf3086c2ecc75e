"""Traffic made ready to be billed: each call as the planner sees it and as the judge sees it.

The planner's view is a layout. The judge's view (the emulator's) is made from the request alone, with its own
hashing, so that neither can agree with the other's mistakes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from operator import is_not

from agentcache.accounting.bound import BoundCall
from agentcache.accounting.pricing import cost_usd
from agentcache.accounting.usage import BilledPart, Usage
from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.positions import PlacedPrompt, PromptReader, Scope
from agentcache.emulator.prompt_cache import CachePrompt, Marker
from agentcache.emulator.request import MessagesRequest
from agentcache.errors import DeclarationError, TargetError
from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json
from agentcache.prompt.layout import Layout, Level, lay_out
from agentcache.prompt.model_facts import ModelFacts, Prices
from agentcache.prompt.plans import Plan
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.sections import Stability
from agentcache.simulate.list_prices import ListPrices, billed_part, day_of
from agentcache.simulate.sent_requests import RequestShaper, with_breakpoints
from agentcache.simulate.traffic import TrafficCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One call, ready to be planned and billed.

    bare: its request without any marker. placed: what the judge reads from it. estimate: the same with every block at
    its estimated length, where `placed` is stretched to recorded totals; `None` where `placed` is the estimate.
    part: what modifies its price. on: the day whose prices hold (`None`: today's). prices: of each bucket, per million
    tokens; `None` for a model without a price. keep_alive_usd: of a read by the shortest prompt.
    """

    call: TrafficCall
    facts: ModelFacts
    bare: JsonObject
    layout: Layout
    placed: PlacedPrompt
    estimate: CachePrompt | None = None
    part: BilledPart
    on: str | None
    prices: Prices | None
    keep_alive_usd: Decimal | None = None
    shaper: RequestShaper = field(repr=False, compare=False)

    @property
    def prompt(self) -> CachePrompt:
        """The unmarked prompt as the judge sees it."""
        return self.placed.prompt

    @property
    def output_tokens(self) -> int:
        """What the answer was billed; 0 where the record does not say."""
        told = (self.call.response_usage or {}).get("output_tokens") if self.call.from_log else None
        return told if isinstance(told, int) else 0

    def cost_usd(self, usage: Usage) -> Decimal | None:
        """Return what tokens of this call cost on its day in US dollars; `None` when they have no price."""
        return cost_usd(replace(self.part, usage=usage), on=self.on)

    def position(self, block: int) -> int | None:
        """Return the judge's position of a block of the layout; `None` for one that is in no cache key."""
        found = self.layout.blocks[block]
        return self.placed.places.get((found.level, found.index, found.content_index or 0))

    def sent_request(self, plan: Plan | None) -> JsonObject:
        """Return the body with a plan's markers in place of the recorded ones; `None` keeps the recorded ones."""
        return self.call.request if plan is None else with_breakpoints(self.bare, self.layout, plan)

    def judged_markers(self, plan: Plan | None) -> tuple[Marker, ...] | None:
        """Return the markers of that body as the judge reads them; `None` when the API refuses them."""
        return self.shaper.markers(self.sent_request(plan), self.placed.places)

    def bound_call(self) -> BoundCall | None:
        """Return the call as the bound sees it; `None` when its model has no price."""
        if self.prices is None:
            return None
        counted = self.estimate or self.prompt
        return BoundCall(
            digests=[position.digest for position in counted.positions],
            prefix_tokens=[position.tokens for position in counted.positions],
            total_tokens=counted.total_tokens,
            stretch=Fraction(self.prompt.total_tokens, max(1, counted.total_tokens)),
            minimum_tokens=self._bound_minimum(),
            at_s=self.call.at_s,
            first_token_at_s=self.call.first_token_at_s,
            prices=self.prices,
            keep_alive_usd=self.keep_alive_usd,
        )

    def _bound_minimum(self) -> int:
        if self.estimate is None:
            return self.prompt.minimum_tokens
        # Stretched, equal prefixes may reach the minimum in one call and not in another: the bound lets either.
        reached = any(position.tokens >= self.prompt.minimum_tokens for position in self.prompt.positions)
        return 0 if reached else self.estimate.total_tokens + 1


@dataclass(slots=True, kw_only=True)
class CaseReader:
    """Turns traffic into cases, in order. Objects that calls share are looked at once.

    totals_recorded: take each prompt's total from the recorded usage and stretch the estimate to it; a call without
    a recorded usage keeps its estimate.
    """

    totals_recorded: bool = False
    settings: CacheSettings = field(default_factory=CacheSettings)
    _reader: PromptReader = field(init=False)
    _shaper: RequestShaper = field(init=False)
    _prices: ListPrices = field(default_factory=ListPrices)
    _layouts: dict[str, Layout] = field(default_factory=dict)
    _bare: dict[int, tuple[JsonValue, JsonValue]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._reader = PromptReader(self.settings, remembers_objects=True)
        self._shaper = RequestShaper(nested_count=self.settings.nested_markers_count)

    def cases(self, calls: Iterable[TrafficCall]) -> Iterator[Case]:
        """Yield a case for each call. Raises `TargetError` for a body that is no Messages request."""
        for call in calls:
            try:
                yield self._case(call)
            except (TargetError, DeclarationError) as error:
                raise TargetError(f"{call.where}: {error}") from error
            except UnicodeEncodeError as error:
                raise TargetError(f"{call.where}: the request holds half a character ({error})") from error

    def _case(self, call: TrafficCall) -> Case:
        bare = self._without_markers(call.request)
        request = self._shaper.unmarked(bare, betas=_betas(call.headers))
        placed, estimate = self._read(call, request)
        part, on = billed_part(request.facts, bare, call.response_usage), day_of(call.at_s)
        prices = self._prices.of(part, on=on, prompt_tokens=placed.prompt.total_tokens)
        shortest = self._prices.of(part, on=on, prompt_tokens=1)
        return Case(
            call=call,
            facts=request.facts,
            bare=bare,
            layout=self._layout(call, request),
            placed=placed,
            estimate=estimate,
            part=part,
            on=on,
            prices=prices,
            keep_alive_usd=None if shortest is None else shortest.read_usd,
            shaper=self._shaper,
        )

    def _read(self, call: TrafficCall, request: MessagesRequest) -> tuple[PlacedPrompt, CachePrompt | None]:
        """Return the prompt as it is billed and, with recorded totals, as it is estimated."""
        scope = Scope(workspace=call.headers.get("anthropic-workspace-id", "default"))
        placed = self._reader.read_placed(request, scope)
        if not self.totals_recorded:
            return placed, None
        total = call.recorded_prompt_tokens
        if total is None:
            return placed, placed.prompt
        return self._reader.read_placed(request, scope, total_tokens=total), placed.prompt

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
