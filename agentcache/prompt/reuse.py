"""What is known of a prompt's reuse: which prefixes live, and how soon the next call is likely to come.

Values that a plan is made from. `reuse_history.py` learns them from calls; tests and callers may state them.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import MappingProxyType

from agentcache.prompt.model_facts import Ttl


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """When a prefix is asked for again, as chances that sum to 1 with `gone`.

    soon: within 5 minutes. later: after that and within the hour. basis: in words, what the estimate rests on.
    """

    soon: float
    later: float
    basis: str

    @property
    def gone(self) -> float:
        """The chance that it is not asked for while any entry could live."""
        return max(0.0, 1.0 - self.soon - self.later)


TAIL_PRIOR = Outlook(soon=0.88, later=0.01, basis="no calls seen yet")
"""A conversation usually goes on at once: in recorded traffic 0.90 to 0.98 of calls are followed within 5 minutes."""
PAUSED_PRIOR = Outlook(soon=0.7, later=0.2, basis="silent for more than 5 minutes before")
"""Of somebody who was silent for longer than 5 minutes once; between 0.1 and 0.3 for `later` recorded traffic is
billed the same to 0.3 %."""
PREFIX_PRIOR = Outlook(soon=0.7, later=0.05, basis="no calls seen yet")
"""Another conversation with the same tools and system prompt; a team in use starts them minutes apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reuse:
    """What is known of the calls before and after this one."""

    written: AbstractSet[str] = frozenset()
    """Prefix digests that earlier calls marked and wrote."""
    live: Mapping[str, Ttl] = field(default_factory=lambda: MappingProxyType({}))
    """Those of them whose entry should live when this call is sent, with its lifetime; only `auto` asks."""
    tail_continues: bool = True
    """Whether another call may extend these messages."""
    prefix_recurs: bool = True
    """Whether another run may use the same tools and system prompt. Layers are marked all the same in a conversation
    that continues: a further marker costs nothing there, and it is what is left when the messages are lost."""
    tail: Outlook = TAIL_PRIOR
    """When the conversation's next call is likely to come."""
    shared: Mapping[int, Outlook] = field(default_factory=lambda: MappingProxyType({}))
    """Blocks of tools and system (by index) at which a prefix ends that others may ask for: ends of the tools and of
    layers, and where prompts were seen to part; each with when anybody is likely to ask for it next."""
    loose_blocks: int = 0
    """How many blocks at the end of the conversation's last prompt were not in this one."""


NOTHING_KNOWN = Reuse()
