"""Server-sent events, however the network cut their bytes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentcache.runtime.event_stream import EventDecoder


def decoded(*pieces: bytes) -> list[tuple[bytes, bytes]]:
    decoder = EventDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"event: a\ndata: 1\n\nevent: b\ndata: 2\n\n", [(b"a", b"1"), (b"b", b"2")]),
        (b"event:a\ndata:  1\n\n", [(b"a", b" 1")]),
        (b"event: a\ndata: 1\ndata: 2\n\n", [(b"a", b"1\n2")]),
        (b": a comment\nid: 7\nretry: 5\nevent: a\ndata: x: y\n\n", [(b"a", b"x: y")]),
        (b"event: a\n\n", [(b"a", b"")]),
        (b"data: nobody says of what\n\n", []),
        (b"\n\n\nevent: a\ndata: 1\n\n\n\n", [(b"a", b"1")]),
        (b"event: a\r\ndata: 1\r\n\r\nevent: b\rdata: 2\r\r", [(b"a", b"1"), (b"b", b"2")]),
        (b"event: a\ndata: 1\n", []),
    ],
    ids=[
        "two",
        "spaces",
        "two lines",
        "other fields",
        "no data",
        "no name",
        "empty lines",
        "other line ends",
        "no end",
    ],
)
def test_events_are_what_the_standard_says(stream: bytes, events: list[tuple[bytes, bytes]]) -> None:
    assert decoded(stream) == events


EVENT = st.builds(
    lambda name, lines, end: end.join([b"event: " + name, *(b"data: " + line for line in lines), b"", b""]),
    st.sampled_from([b"a", b"message_stop"]),
    st.lists(st.sampled_from([b"", b"1", b'{"x": ":"}', "é".encode()]), max_size=3),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
)


@example(b"event: a\r\ndata: \r\ndata: \r\n\r\n", [9, 9])  # a piece of nothing between CR and LF
@given(st.lists(EVENT, max_size=4).map(b"".join), st.lists(st.integers(0, 60), max_size=8))
def test_where_the_bytes_are_cut_changes_nothing(stream: bytes, cuts: list[int]) -> None:
    ends = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    pieces = [stream[begin:end] for begin, end in itertools.pairwise(ends)]
    assert decoded(*pieces) == decoded(*(bytes([byte]) for byte in stream)) == decoded(stream)
