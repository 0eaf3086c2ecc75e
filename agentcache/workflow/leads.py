"""Who leads which prefix, and who follows: a cold prefix is written by one call, the others wait until it is readable.

Pure but for the tickets that it changes. A group is all calls whose next longest common prefix is being written by
one call; it exists only while that call has not begun to be answered.
"""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal

from agentcache.accounting.waiting import Awaited
from agentcache.prompt.plans import Breakpoint
from agentcache.runtime.admission import HeldFor
from agentcache.workflow.scheduling import expected_wait_s, saved_by_reading_usd, worth_waiting
from agentcache.workflow.tickets import Lead, Ticket
from agentcache.workflow.warm_prefixes import Key, WarmPrefixes

HANDOVERS = 2
"""Leaders that may be overdue, each for half a deadline, before a call goes anyway."""


class Leads:
    """The groups of one runtime. `second_usd`: what a second of waiting is worth."""

    def __init__(self, *, second_usd: Decimal) -> None:
        """Begin with everything cold."""
        self._second_usd = second_usd
        self._warm = WarmPrefixes()
        self._by_key: dict[Key, Lead] = {}

    def __len__(self) -> int:
        """Return how many prefixes are being written."""
        return len(self._by_key)

    def uncached_tokens(self, ticket: Ticket, *, now: float) -> int:
        """Return the estimated tokens of a prompt that it cannot read."""
        return max(0, ticket.call.prompt_tokens - self._warm.warm_tokens(ticket.call, now=now))

    def begin(self, ticket: Ticket, *, now: float) -> None:
        """Let a call that goes out now lead those of its prefixes that are cold and that nobody leads."""
        keys = [key for key in self._cold(ticket, now) if key not in self._by_key]
        if keys:
            ticket.lead = Lead(leader=ticket, keys=keys)
            self._by_key.update(dict.fromkeys(keys, ticket.lead))

    def follow(self, ticket: Ticket, *, now: float) -> Lead | None:
        """Let a call wait for the leader of its longest prefix that has one, and return what it waits for.

        `None` when nobody writes a prefix of its own, when waiting is worth more than it saves, and when it has
        waited for its whole deadline already.
        """
        led = [(mark, self._by_key[key]) for key, mark in self._cold(ticket, now).items() if key in self._by_key]
        if not led or ticket.overdue_leaders >= HANDOVERS:
            return None
        mark, lead = max(led, key=lambda item: item[0].prefix_tokens)
        warm_tokens = self._warm.warm_tokens(ticket.call, now=now)
        if not self._is_worth(ticket, lead, mark, warm_tokens, now):
            return None
        ticket.awaited = Awaited(prefix_tokens=mark.prefix_tokens, warm_tokens=warm_tokens, ttl=mark.ttl)
        ticket.since, ticket.following = now, lead
        lead.followers[ticket] = None
        return lead

    def forget(self, ticket: Ticket) -> None:
        """Let a follower wait no longer."""
        if ticket.following is not None:
            ticket.following.followers.pop(ticket, None)
            ticket.following = None

    def readable(self, ticket: Ticket, *, now: float) -> list[Ticket]:
        """Note that the reply to a call began; return the calls that waited for one of its prefixes, in order.

        Most followed this call; some another that writes the same, where this one was not held or was overdue.
        """
        self._warm.begun(ticket.call, sent_at=ticket.sent_at)
        keys = [(ticket.call.model, mark.prefix_digest) for mark in ticket.call.marks]
        return [item for key in keys if key in self._by_key for item in self.end(self._by_key[key], now=now)]

    def end(self, lead: Lead | None, *, now: float) -> list[Ticket]:
        """End a lead and return its followers, who now wait nowhere, in their order."""
        if lead is None:
            return []
        for key in lead.keys:
            if self._by_key.get(key) is lead:
                del self._by_key[key]
        if lead.timer is not None:
            lead.timer.cancel()
        followers, lead.followers = lead.followers, OrderedDict()
        for ticket in followers:
            ticket.held(HeldFor.PREFIX, now - ticket.since)
            ticket.following = None
        return list(followers)

    def _cold(self, ticket: Ticket, now: float) -> dict[Key, Breakpoint]:
        return {(ticket.call.model, mark.prefix_digest): mark for mark in self._warm.cold(ticket.call, now=now)}

    def _is_worth(self, ticket: Ticket, lead: Lead, mark: Breakpoint, warm_tokens: int, now: float) -> bool:
        call, leader = ticket.call, lead.leader
        saved_usd = saved_by_reading_usd(
            call.model, mark.prefix_tokens - warm_tokens, mark.ttl, prompt_tokens=call.prompt_tokens
        )
        wait_s = expected_wait_s(
            ticket.lane.first_tokens, uncached_tokens=leader.need.input_tokens, elapsed_s=now - leader.sent_at
        )
        return worth_waiting(saved_usd, wait_s, second_usd=self._second_usd)
