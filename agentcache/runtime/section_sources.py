"""Which sections' provenance the ledger still has to be given: each is kept once, however many calls send it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from agentcache.prompt.provenance import Provenance
from agentcache.prompt.spans import Span
from agentcache.stores.protocols import PROVENANCE_NOTED_S


@dataclass(slots=True)
class SectionSources:
    """Remembers what was handed to the ledger, and when; the oldest go first when `room` is used up."""

    room: int = 10_000
    _noted: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def new_of(
        self, spans: Iterable[Span], sources: Callable[[Iterable[str]], tuple[Provenance, ...]], *, at_s: float
    ) -> tuple[Provenance, ...]:
        """Return what the sections of a prompt are made of, of those that the ledger was not told of for an hour.

        A section that another process rendered, of a conversation that goes on here, is in the ledger already.
        """
        digests = [span.provenance for span in spans if span.provenance is not None]
        wanted = [each for each in digests if at_s - self._noted.get(each, float("-inf")) > PROVENANCE_NOTED_S / 2]
        if not wanted:
            return ()
        for digest in wanted:
            self._noted[digest] = at_s
            self._noted.move_to_end(digest)
        while len(self._noted) > self.room:
            self._noted.popitem(last=False)
        return sources(wanted)
