"""Images and documents that a tool returns, as the content blocks that the API takes.

A tool may return one of them, or a list of them and of texts: `return ["The chart:", image(png)]`. What kinds of data
there are is taken from the SDK's types (2.12.0, `Base64ImageSourceParam`, `Base64PDFSourceParam`,
`PlainTextSourceParam`); which one some data is, its first bytes tell. Citations stay off, since the API wants them on
for all documents of a request or for none.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Literal, TypeAlias

from agentcache.prompt.canonical import JsonObject

ImageType: TypeAlias = Literal["image/gif", "image/jpeg", "image/png", "image/webp"]
"""The media types of images that the API takes."""


def image(data: bytes, media_type: ImageType | None = None) -> JsonObject:
    """Return an image block of `data`, the bytes of a GIF, JPEG, PNG or WebP file.

    `media_type` is read from the data; given, it is checked. Raises `ValueError` for data of another kind.
    """
    found = _image_type(data)
    if found is None:
        raise ValueError(f"an image must be GIF, JPEG, PNG or WebP, and these {len(data):,} bytes are none of them")
    if media_type not in (None, found):
        raise ValueError(f"an image was said to be {media_type}, but its bytes are {found}")
    return {"type": "image", "source": {"type": "base64", "media_type": found, "data": b64encode(data).decode()}}


def document(data: str | bytes, *, title: str | None = None, context: str | None = None) -> JsonObject:
    """Return a document block: `data` is a text, or a PDF file's bytes.

    title: its name. context: what the model should know about it. Both are read by the model and are no content.
    Raises `ValueError` for an empty text, and for bytes that are no PDF.
    """
    told = {"title": title, "context": context}
    return {"type": "document", "source": _source(data), **{key: text for key, text in told.items() if text}}


def _source(data: str | bytes) -> JsonObject:
    if isinstance(data, str):
        if not data.strip():
            raise ValueError("a document needs text, and this one has none")
        return {"type": "text", "media_type": "text/plain", "data": data}
    if not data.startswith(b"%PDF-"):
        raise ValueError(f"a document must be a text (a str) or a PDF, and these {len(data):,} bytes are no PDF")
    return {"type": "base64", "media_type": "application/pdf", "data": b64encode(data).decode()}


def _image_type(data: bytes) -> ImageType | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if data.startswith(b"RIFF") and data[8:12] == b"WEBP" else None
