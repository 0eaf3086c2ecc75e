"""A Messages API that costs next to nothing: scripted replies over a bare protocol, in a process of its own.

    python stub.py

Prints its address on the first line and serves until its standard input closes. It reads no JSON: words in the body
choose the script. `MODE_TOOL` is answered by one call of `add`, and its result by a text; `MODE_TOOLS` by a call of
`add` each time; `MODE_LONG` by a text of 200 pieces, anything else by one of 12. Headers are as many as the real API's.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from functools import cache
from typing import Any

PIECE = "The sum is what you say it is, "
USAGE = {
    "input_tokens": 12,
    "cache_creation_input_tokens": 3200,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 3200, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 1,
    "service_tier": "standard",
}
OUTPUT_TOKENS = 120
LIMITS = "".join(
    f"anthropic-ratelimit-{kind}-limit: 4000000\r\nanthropic-ratelimit-{kind}-remaining: 3999000\r\n"
    f"anthropic-ratelimit-{kind}-reset: 2099-01-01T00:00:00Z\r\n"
    for kind in ("requests", "tokens", "input-tokens", "output-tokens")
)
HEAD = (
    "HTTP/1.1 200 OK\r\ndate: Sat, 28 Nov 2026 09:00:00 GMT\r\n{body}connection: keep-alive\r\ncache-control: no-cache"
    f"\r\n{LIMITS}request-id: req_{{number}}\r\nanthropic-organization-id: 00000000-0000-0000-0000-000000000000\r\n"
    "strict-transport-security: max-age=31536000; includeSubDomains; preload\r\nserver: cloudflare\r\n"
    "via: 1.1 google\r\ncf-cache-status: DYNAMIC\r\nx-robots-tag: none\r\ncf-ray: 9a5c0f3b1e2d4c5b-FRA\r\n\r\n"
)
IN_ONE_PIECE = "content-type: application/json\r\ncontent-length: {length}\r\n"
STREAMED = "content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n"

_numbers = itertools.count(1)


def answer(body: bytes) -> bytes:
    """Return the whole HTTP response to one request."""
    number = next(_numbers)
    if b"MODE_TOOLS" in body or (b"MODE_TOOL" in body and b'"tool_result"' not in body):
        script = "tool"
    else:
        script = "long" if b"MODE_LONG" in body else "text"
    streamed = b'"stream":true' in body or b'"stream": true' in body
    payload = _payload(script, streamed).replace(b"@@", b"%08d" % number)
    told = STREAMED if streamed else IN_ONE_PIECE.format(length=len(payload))
    return HEAD.format(body=told, number=f"{number:08d}").encode() + payload


@cache
def _payload(script: str, streamed: bool) -> bytes:
    return _events(script) if streamed else json.dumps(_message(script)).encode()


def _block(script: str) -> dict[str, Any]:
    if script == "tool":
        return {"type": "tool_use", "id": "toolu_@@", "name": "add", "input": {"a": 2, "b": 40}}
    return {"type": "text", "text": PIECE * (200 if script == "long" else 12)}


def _message(script: str) -> dict[str, Any]:
    return {
        "id": "msg_@@",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [_block(script)],
        "stop_reason": "tool_use" if script == "tool" else "end_turn",
        "stop_sequence": None,
        "usage": {**USAGE, "output_tokens": OUTPUT_TOKENS},
    }


def _events(script: str) -> bytes:
    """Return the same message as a stream: a chunk of the body for each event."""
    message, block = _message(script), _block(script)
    if script == "tool":
        start = {**block, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": text} for text in ("", '{"a"', ': 2, "b"', ": 40}")]
    else:
        start = {**block, "text": ""}
        deltas = [{"type": "text_delta", "text": PIECE}] * (len(block["text"]) // len(PIECE))
    begun = {**message, "content": [], "stop_reason": None, "usage": USAGE}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    events = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": start},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": OUTPUT_TOKENS}},
        {"type": "message_stop"},
    ]
    told = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)
    # Eight digits take the place of the two signs that stand for them, wherever the number comes in.
    sizes = ((text, len(text) + 6 * text.count(b"@@")) for text in told)
    return b"".join(b"%x\r\n%b\r\n" % (size, text) for text, size in sizes) + b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client's connection; requests come one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._parts, self._room, self._missing = transport, [], 0, 0

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            return
        received = b"".join(self._parts)
        end = received.find(b"\r\n\r\n")
        if end < 0:
            self._parts, self._missing = [received], 0
            return
        lines = received[:end].lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        self._missing = end + 4 + length - len(received)
        if self._missing > 0:
            self._parts = [received]
            return
        self._parts, self._missing = [], 0
        self._transport.write(answer(received[end + 4 :]))


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
