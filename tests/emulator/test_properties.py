"""What holds for every prompt: conservation, monotony, and agreement with the specification's pseudo-code."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.prompt_cache import LIFETIME_S, CachePrompt, Marker, Position, PromptCache
from agentcache.prompt.model_facts import Ttl
from tests.emulator.account import Account, Body, request, text, user

FREE = CacheSettings(minimum_tokens={"claude-sonnet-4-6": 0})
TTLS: st.SearchStrategy[Ttl] = st.sampled_from(("5m", "1h"))


@st.composite
def marked_positions(draw: st.DrawFn, count: int) -> dict[int, Ttl]:
    """Draw up to four markers on `count` blocks, the long ones first."""
    places = sorted(draw(st.sets(st.integers(0, count - 1), max_size=4)))
    long = draw(st.integers(0, len(places)))
    return {place: "1h" if index < long else "5m" for index, place in enumerate(places)}


def conversation(lengths: list[int], marks: dict[int, Ttl], *, changed_from: int | None = None) -> Body:
    """Return one user message of blocks of these lengths; those from `changed_from` on differ in content."""
    blocks = [
        text(length, f"{'w' if changed_from is None or index < changed_from else 'x'}{index}", ttl=marks.get(index))
        for index, length in enumerate(lengths)
    ]
    return request(user(*blocks))


LENGTHS = st.lists(st.integers(1, 900), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), lengths=LENGTHS)
def test_tokens_are_conserved_whatever_the_markers(data: st.DataObject, lengths: list[int]) -> None:
    account = Account()
    for now in range(3):
        charge = account.charge(conversation(lengths, data.draw(marked_positions(len(lengths)))), now=now)
        assert sum(charge) == sum(lengths)
        assert min(charge) >= 0


@settings(max_examples=60, deadline=None)
@given(data=st.data(), lengths=LENGTHS)
def test_the_same_call_again_writes_nothing(data: st.DataObject, lengths: list[int]) -> None:
    account = Account()
    body = conversation(lengths, data.draw(marked_positions(len(lengths))))
    long, short, _, plain = account.charge(body)
    assert account.charge(body, now=1) == (0, 0, long + short, plain)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), lengths=st.lists(st.integers(1, 900), min_size=2, max_size=30))
def test_a_longer_common_prefix_is_never_read_less(data: st.DataObject, lengths: list[int]) -> None:
    count = len(lengths)
    written = conversation(lengths, data.draw(marked_positions(count)))
    marks = data.draw(marked_positions(count))
    reads = []
    for common in range(count + 1):
        account = Account(FREE)
        account.charge(written)
        reads.append(account.charge(conversation(lengths, marks, changed_from=common), now=1)[2])
    assert reads == sorted(reads)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), lengths=LENGTHS)
def test_a_marker_more_never_reads_less_and_moving_one_changes_no_entry(
    data: st.DataObject, lengths: list[int]
) -> None:
    account, other = Account(FREE), Account(FREE)
    first = data.draw(marked_positions(len(lengths)))
    marks = data.draw(marked_positions(len(lengths)))
    fewer = dict(list(marks.items())[1:])
    for each in (account, other):
        each.charge(conversation(lengths, first))
    more_read = account.charge(conversation(lengths, marks), now=1)[2]
    assert other.charge(conversation(lengths, fewer), now=1)[2] <= more_read
    if first and max(first) in marks:
        assert more_read >= sum(lengths[: max(first) + 1])


@settings(max_examples=40, deadline=None)
@given(data=st.data(), lengths=LENGTHS, waits=st.tuples(st.floats(0, 4000), st.floats(0, 4000)))
def test_waiting_longer_never_reads_more(data: st.DataObject, lengths: list[int], waits: tuple[float, float]) -> None:
    body = conversation(lengths, data.draw(marked_positions(len(lengths))))
    reads = []
    for wait in sorted(waits):
        account = Account(FREE)
        account.charge(body)
        reads.append(account.charge(body, now=wait)[2])
    assert reads[0] >= reads[1]


@dataclass
class PseudoCode:
    """Section 15 of the specification, as literally as Python allows."""

    store: dict[bytes, tuple[Ttl, float, float]] = field(default_factory=dict)

    def handle(self, prompt: CachePrompt, now: float, first_byte: float) -> tuple[int, int, int, int]:
        positions, total = prompt.positions, prompt.total_tokens
        ok = [mark for mark in prompt.markers if positions[mark.position].tokens >= prompt.minimum_tokens]
        read, hit = 0, -1
        for mark in reversed(ok):
            for place in range(mark.position, max(-1, mark.position - 20), -1):
                entry = self.store.get(positions[place].digest)
                if entry and entry[2] <= now < entry[1]:
                    read, hit = positions[place].tokens, place
                    break
            if hit >= 0:
                break
        last = positions[ok[-1].position].tokens if ok else read
        long_marks = [positions[m.position].tokens for m in ok if m.ttl == "1h" and positions[m.position].tokens > read]
        middle = max(long_marks, default=read)
        for place in range(hit + 1):
            ttl, expires, visible = self.store.get(positions[place].digest, ("5m", 0.0, 0.0))
            if now < expires:
                self.store[positions[place].digest] = (ttl, max(expires, now + LIFETIME_S[ttl]), visible)
        for mark in ok:
            entry = self.store.get(positions[mark.position].digest)
            if mark.position > hit or entry is None or now >= entry[1]:
                self.store[positions[mark.position].digest] = (mark.ttl, now + LIFETIME_S[mark.ttl], first_byte)
        return middle - read, last - middle, read, total - last


@st.composite
def prompts(draw: st.DrawFn) -> CachePrompt:
    """Draw a prompt of a small family in which common prefixes are likely."""
    branch = draw(st.integers(0, 25))
    count = draw(st.integers(1, 45))
    lengths = [40 + index % 7 for index in range(count)]
    positions, tokens = [], 0
    for index, length in enumerate(lengths):
        tokens += length
        name = f"{index}" if index < branch else f"{branch}-{index}"
        positions.append(Position(name.encode(), tokens, index))
    marks = draw(marked_positions(count))
    return CachePrompt(
        positions=tuple(positions),
        markers=tuple(Marker(place, ttl) for place, ttl in marks.items()),
        total_tokens=tokens + 9,
        minimum_tokens=200,
    )


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(st.lists(st.tuples(prompts(), st.floats(0.5, 2000)), min_size=2, max_size=12))
def test_it_agrees_with_the_pseudo_code(calls: list[tuple[CachePrompt, float]]) -> None:
    cache, reference, now = PromptCache(), PseudoCode(), 0.0
    for prompt, wait in calls:
        now += wait
        charge = cache.charge(prompt, now=now, first_byte_at=now + 0.25)
        found = charge.write_1h_tokens, charge.write_5m_tokens, charge.read_tokens, charge.plain_tokens
        assert found == reference.handle(prompt, now, now + 0.25)
