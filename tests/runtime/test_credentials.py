"""Who signs and where to: arguments before the environment, and a clear word when there is neither."""

from __future__ import annotations

import pytest

from agentcache.errors import SettingsError, Unauthenticated
from agentcache.runtime.client import MessagesClient
from agentcache.runtime.credentials import DEFAULT_BASE_URL, PLACEHOLDER_KEY, find_credentials


def test_nothing_pretends_to_be_claude_silently() -> None:
    with pytest.raises(Unauthenticated) as raised:
        MessagesClient()
    assert str(raised.value) == (
        "no ANTHROPIC_API_KEY is set; export one, point ANTHROPIC_BASE_URL at a Messages API server, "
        "or run with --emulate (in a program: agentcache.testing.emulated)"
    )
    assert raised.value.attempts == 0


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"])
def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, " ")
    with pytest.raises(Unauthenticated):
        find_credentials()


def test_arguments_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-env")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://environment.test")
    found = find_credentials(api_key="sk-given", base_url="http://given.test")
    assert (found.api_key, found.auth_token, found.base_url) == ("sk-given", None, "http://given.test")


def test_a_key_alone_goes_to_claude() -> None:
    found = find_credentials(api_key="sk-given\n")
    assert (found.api_key, found.base_url) == ("sk-given", DEFAULT_BASE_URL)


def test_a_server_alone_gets_a_key_that_is_none() -> None:
    assert find_credentials(base_url="http://127.0.0.1:8000").api_key == PLACEHOLDER_KEY


def test_a_key_is_not_shown() -> None:
    assert "sk-given" not in repr(find_credentials(api_key="sk-given"))


@pytest.mark.parametrize("key", ["sk-\nkey", "sk-ключ", "sk-\x00"])
def test_a_key_that_no_header_carries_is_refused_unseen(key: str) -> None:
    with pytest.raises(Unauthenticated) as raised:
        find_credentials(api_key=key)
    assert key not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["localhost:8000", "//host", "ftp://host", "http://", "http://host:port", "http://[::1"]
)
def test_a_base_url_names_a_server(url: str) -> None:
    with pytest.raises(SettingsError, match="names no server"):
        find_credentials(base_url=url)
