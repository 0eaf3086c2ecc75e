"""Server-sent events out of the bytes of a reply, wherever these were cut on their way.

As much of https://html.spec.whatwg.org/multipage/server-sent-events.html as the Messages API uses: names and data.
Bytes are taken as they come, a whole piece at a time: a stream of many small events costs most of a call otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator


class EventDecoder:
    """Joins the pieces of one stream. What stands behind the last empty line is no event yet."""

    def __init__(self) -> None:
        self._rest = b""
        self._after_cr = False

    def feed(self, piece: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield name and data of each event that ends in this piece, those without a name left out."""
        if self._after_cr or b"\r" in piece:
            piece = self._with_plain_ends(piece)
        *events, self._rest = (self._rest + piece).split(b"\n\n")
        for event in events:
            name, data = _read(event)
            if name:
                yield name, data

    def _with_plain_ends(self, piece: bytes) -> bytes:
        """Return the piece with all its line ends as LF; a CR LF may be cut in two."""
        if not piece:
            return piece
        after_cr, self._after_cr = self._after_cr, piece.endswith(b"\r")
        if after_cr and piece.startswith(b"\n"):
            piece = piece[1:]
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _read(event: bytes) -> tuple[bytes, bytes]:
    name, data = b"", []
    for line in event.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return name, b"\n".join(data)
