"""What a server's answer becomes, kind by kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.runtime.mcp_results import MAX_ENCODED_CHARS, result_from

DATA = "aGk="


def block(**item: Any) -> Any:
    return result_from({"content": [{"type": "text", "text": "first"}, item]}).content[1]


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        ({"type": "resource_link", "uri": "file:///a", "name": "a"}, "[a: file:///a]"),
        ({"type": "resource", "resource": {"uri": "file:///a", "text": "hi"}}, "[file:///a]\nhi"),
        (
            {"type": "resource", "resource": {"uri": "file:///a", "mimeType": "a/zip", "blob": DATA}},
            "[resource file:///a of type a/zip, 4 characters in base64: cannot be shown]",
        ),
        (
            {"type": "audio", "mimeType": "audio/wav", "data": DATA},
            "[audio of type audio/wav, 4 characters in base64: cannot be shown]",
        ),
        (
            {"type": "image", "mimeType": "image/png", "data": "x" * (MAX_ENCODED_CHARS + 1)},
            "[image of type image/png, 5000001 characters in base64: cannot be shown]",
        ),
    ],
)
def test_what_is_text_or_cannot_be_shown_is_said_in_words(item: Any, shown: str) -> None:
    assert block(**item) == {"type": "text", "text": shown}


def test_images_and_documents_are_shown() -> None:
    image = block(type="image", mimeType="image/png", data=DATA)
    pdf = block(type="resource", resource={"uri": "file:///a", "mimeType": "application/pdf", "blob": DATA})
    assert image == {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}
    assert pdf == {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": DATA}}


def test_structured_content_is_sent_once_and_in_one_form() -> None:
    value: Any = {"b": 1, "a": 2}
    written = '{"a":2,"b":1}'
    assert result_from({"content": [], "structuredContent": value}).content == written
    same: Any = {"content": [{"type": "text", "text": '{ "b": 1, "a": 2 }'}], "structuredContent": value}
    assert result_from(same).content == written
    told: Any = {"content": [{"type": "text", "text": "one and two"}], "structuredContent": value}
    assert result_from(told).content == "one and two"


ITEMS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "image", "audio", "resource", "resource_link", "else"])},
        optional={
            "text": st.text(max_size=9),
            "data": st.sampled_from([DATA, ""]),
            "mimeType": st.sampled_from(["image/png", "a/b"]),
        },
    ),
    max_size=4,
)


@given(ITEMS, st.booleans())
def test_any_answer_becomes_a_result_that_the_api_takes(items: Any, failed: bool) -> None:
    result = result_from({"content": items, "isError": failed}).sendable(max_chars=100)
    assert result.is_error is failed
    assert result.content
