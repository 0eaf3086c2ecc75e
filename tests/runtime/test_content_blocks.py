"""Images and documents as content blocks, and what becomes of them when a tool returns them."""

from __future__ import annotations

from base64 import b64decode
from typing import Any, Literal, cast

import pytest
from anthropic.types import DocumentBlockParam, ImageBlockParam
from pydantic import BaseModel, TypeAdapter

from agentcache import document, image
from agentcache.prompt.canonical import JsonObject, json_text
from agentcache.runtime.tool_results import result_of

ROOM = 200_000
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
PDF = b"%PDF-1.7\n" + b"pages"

IMAGE_OF_THE_SDK = TypeAdapter[object](ImageBlockParam)
DOCUMENT_OF_THE_SDK = TypeAdapter[object](DocumentBlockParam)


def source(block: JsonObject) -> dict[str, Any]:
    return cast("dict[str, Any]", block["source"])


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0 and more", "image/jpeg"),
        (b"GIF89a and more", "image/gif"),
        (b"GIF87a and more", "image/gif"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp"),
    ],
)
def test_an_image_is_what_its_bytes_say(data: bytes, media_type: Any):
    block = image(data)

    assert block == image(data, media_type)
    assert source(block)["media_type"] == media_type
    assert b64decode(source(block)["data"]) == data
    assert IMAGE_OF_THE_SDK.validate_python(block) == block


@pytest.mark.parametrize("data", [b"", b"text", b"RIFF\x10\x00\x00\x00WAVE", b"<svg/>", PDF])
def test_what_is_no_image_is_refused(data: bytes):
    with pytest.raises(ValueError, match=f"GIF, JPEG, PNG or WebP, and these {len(data)} bytes are none"):
        image(data)


def test_an_image_that_is_not_what_it_is_said_to_be_is_refused():
    with pytest.raises(ValueError, match="said to be image/jpeg, but its bytes are image/png"):
        image(PNG, "image/jpeg")


def test_a_document_is_a_text_or_a_pdf_without_citations():
    text, pdf = document("Fares of 2026"), document(PDF, title="Fares", context="from the harbour office")

    assert text == {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "Fares of 2026"},
    }
    assert (pdf["title"], pdf["context"], source(pdf)["media_type"]) == (
        "Fares",
        "from the harbour office",
        "application/pdf",
    )
    assert b64decode(source(pdf)["data"]) == PDF
    assert [DOCUMENT_OF_THE_SDK.validate_python(block) for block in (text, pdf)] == [text, pdf]


@pytest.mark.parametrize(("data", "complaint"), [(PNG, "these 14 bytes are no PDF"), (" \n", "this one has none")])
def test_what_is_no_document_is_refused(data: str | bytes, complaint: str):
    with pytest.raises(ValueError, match=complaint):
        document(data)


def test_a_tool_may_return_one_alone():
    assert result_of(image(PNG), max_chars=ROOM).content == [image(PNG)]
    assert result_of(document("Fares"), max_chars=ROOM).content == [document("Fares")]


def test_texts_among_them_become_blocks():
    returned = ["The chart:", image(PNG), document(PDF)]

    assert result_of(returned, max_chars=ROOM).content == [
        {"type": "text", "text": "The chart:"},
        image(PNG),
        document(PDF),
    ]


def test_a_model_that_is_a_block_is_one():
    class Source(BaseModel):
        type: Literal["url"] = "url"
        url: str

    class Picture(BaseModel):
        type: Literal["image"] = "image"
        source: Source

    picture = Picture(source=Source(url="https://example.com/x.png"))

    assert result_of([picture], max_chars=ROOM).content == [
        {"type": "image", "source": {"type": "url", "url": "https://example.com/x.png"}}
    ]


@pytest.mark.parametrize(
    "data",
    [
        {"type": "image", "source": {"type": "camera", "number": 1}},
        {"type": "text", "text": "a row of a table"},
        {"type": "document", "source": "archive"},
        [{"type": "document", "source": {"type": "file", "file_id": "f"}}, {"number": 17}],
    ],
)
def test_data_that_looks_like_one_stays_data(data: Any):
    content = result_of(data, max_chars=ROOM).content

    assert isinstance(content, str)
    assert content.startswith(("{", "["))


def test_bytes_that_are_no_text_say_what_to_return_instead():
    with pytest.raises(ValueError, match=r"bytes that are no text; return image\(\.\.\.\) or document\(\.\.\.\)"):
        result_of({"chart": PNG}, max_chars=ROOM)


def test_a_document_of_text_is_cut_where_a_text_is_and_counts_like_one():
    result = result_of(document("x" * 120), max_chars=100)

    assert isinstance(result.content, list)
    assert source(result.content[0])["data"] == "x" * 100 + "\n[cut: 20 more characters]"
    assert result.chars == len("x" * 100 + "\n[cut: 20 more characters]")
    assert result_of([document(PDF)], max_chars=1).chars == 0


def test_equal_data_are_equal_bytes():
    assert json_text(image(PNG)) == json_text(image(bytes(PNG)))
    assert list(image(PNG)) == ["type", "source"]
