"""`http_get` on real sockets: what it answers, and that it reaches nothing that it should not."""

from __future__ import annotations

import gzip
import socket
import ssl
import zlib
from collections.abc import Sequence

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from agentcache.tools import http_get
from tests.tools.site import Answer, redirect, site, text


async def got(url: str, *, allow: Sequence[str], offset: int = 0, **options) -> str:
    """Call the tool as the model does; a refusal comes back as `refused: ...`."""
    tool = http_get(allow, **{"allow_http": True, "allow_private": True, **options})
    result = await tool.call({"url": url, "offset": offset})
    assert isinstance(result.content, str)
    return f"refused: {result.content}" if result.is_error else result.content


def resolving(*answers: Sequence[str]):
    """Resolve to each answer in turn, and to the last one ever after."""
    left = list(answers)
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        if not found:
            raise OSError("no such host")
        return found

    resolve.asked = asked  # type: ignore[attr-defined]
    return resolve


async def test_text_is_answered_with_where_it_came_from():
    async with site({"/a?b=c": text('{"boats": 2}', "application/json; charset=utf-8")}) as web:
        url = f"http://{web.host}/a?b=c"
        expected = f'{url} (application/json), characters 1-12 of 12.\n{{"boats": 2}}'
        assert await got(f"{url}#part", allow=[web.host]) == expected
        assert await got(url, allow=[web.host]) == expected
    [request, _] = web.received
    names = [line.split(":")[0] for line in request.split("\r\n")[1:] if line]
    assert names == ["Host", "Accept", "Accept-Encoding", "User-Agent"]


async def test_long_text_comes_in_pages_that_name_the_next():
    body = "".join(f"{i:07} line\n" for i in range(8_000))
    async with site({"/": text(body)}) as web:
        url, shown, offset = f"http://{web.host}/", "", 0
        for _ in range(3):
            header, _, page = (await got(url, allow=[web.host], offset=offset)).partition("\n")
            shown += page
            offset = len(shown)
            assert ("next page: offset=" in header) is (offset < len(body))
            assert f"offset={offset}." in header or offset == len(body)
        assert shown == body
        assert "is behind its end" in await got(url, allow=[web.host], offset=offset)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=404), "the server answered 404 Not Found"),
        (Answer(status=503), "the server answered 503 Service Unavailable"),
        (Answer(status=204), "the server answered 204 No Content"),
        (Answer(status=799), "the server answered 799"),
        (Answer(headers={"Content-Type": "image/png"}, pieces=[b"\x89PNG"]), "is image/png; only text"),
        (Answer(headers={"Content-Encoding": "br"}, pieces=[b"x"]), "packed as 'br'"),
        (Answer(headers={"Content-Encoding": "gzip"}, pieces=[b"not gzip"]), "is not packed as gzip, as it says"),
        (Answer(headers={"Content-Length": "100"}, pieces=[b"short"]), "broke off"),
        (Answer(status=302, headers={"Location": "http://[::1"}), "redirects to what is no URL"),
        (Answer(status=302, headers={"Location": "file:///etc/passwd"}), "only http and https"),
        (Answer(status=302, headers={"Location": "//u:p@127.0.0.1/"}), "user name or password"),
    ],
)
async def test_an_answer_that_is_no_text_is_told_in_words(answer, words):
    async with site({"/": answer}) as web:
        refused = await got(f"http://{web.host}/", allow=[web.host])
    assert refused.startswith("refused: ")
    assert words in refused
    assert "u:p" not in refused


@pytest.mark.parametrize(
    ("body", "kind", "shown"),
    [
        ("caf\u00e9".encode("latin-1"), "text/html; charset=ISO-8859-1", "caf\u00e9"),
        ("\u732b".encode("shift_jis"), 'text/plain; charset="Shift_JIS"', "\u732b"),
        (b"\xef\xbb\xbfa\r\nb", "text/plain", "a\nb"),
        (b"caf\xe9", "text/plain; charset=utf-8", "caf\ufffd"),
        (b"abc", "text/plain; charset=punycode", "abc"),
        (b"abc", "text/plain; charset=no\x00ne", "abc"),
        (b"abc", "text/plain; charset=hex", "abc"),
    ],
)
async def test_text_is_read_in_the_encodings_of_the_web(body, kind, shown):
    async with site({"/": Answer(headers={"Content-Type": kind}, pieces=[body])}) as web:
        answer = await got(f"http://{web.host}/", allow=[web.host])
    if "\x00" in kind:
        assert answer.startswith("refused: ")  # no header may hold it
    else:
        assert answer.partition("\n")[2] == shown


async def test_an_empty_body_is_said_to_be_empty():
    async with site({"/": text("")}) as web:
        assert await got(f"http://{web.host}/", allow=[web.host]) == f"http://{web.host}/ (text/plain) is empty."


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://evil.org/", "the host 'evil.org' is not one that may be asked"),
        ("https://example.com.evil.org/", "is not one that may be asked"),
        ("https://example.com:8443/", "the host 'example.com:8443' is not one"),
        ("https://user:pw@example.com/", "user name or password"),
        ("https://evil.org\\@example.com/", "refused: "),
        ("http://example.com/", "only https can be asked"),
        ("ftp://example.com/", "only https can be asked"),
        ("file:///etc/passwd", "only https can be asked"),
        ("example.com", "only https can be asked"),
        ("https://", "is not one that may be asked"),
        ("https://[::1", "is no URL"),
        ("https://exa mple.com/", "refused: "),
        ("https://2130706433/", "is not one that may be asked"),
        ("https://[::ffff:127.0.0.1]/", "is not one that may be asked"),
        ("https://example.com/" + "a" * 2_000, "do not fit"),
    ],
)
async def test_a_url_that_may_not_be_asked_is_refused_before_anything_is_looked_up(url, words):
    resolve = resolving(["127.0.0.1"])
    refused = await got(url, allow=["example.com"], allow_http=False, resolve=resolve)
    assert refused.startswith("refused: ")
    assert words in refused
    assert "pw" not in refused
    assert resolve.asked == []


PIECES = st.sampled_from(["http", "https", ":", "//", "/", "@", "\\", "#", "?", "%2f", "%40", "[", "]", "example.com"])


@given(st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=9).map("".join))
async def test_whatever_the_spelling_of_a_url_only_an_allowed_host_is_looked_up(url):
    resolve = resolving([])
    assert (await got(url, allow=["example.com"], resolve=resolve)).startswith("refused: ")
    assert set(resolve.asked) <= {"example.com"}


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"]
)
async def test_no_spelling_of_this_machine_is_connected_to(name):
    async with site({"/": text("secret")}) as web:
        allow = [f"{name}:{web.port}"]
        refused = await got(f"http://{name}:{web.port}/", allow=allow, allow_private=False)
    assert refused.startswith("refused: ")
    assert web.connections == 0


async def test_an_allowed_name_that_leads_inside_is_refused():
    resolve = resolving(["10.0.0.1", "::1", "169.254.169.254"])
    refused = await got("https://example.com/", allow=["example.com"], allow_private=False, resolve=resolve)
    assert refused == "refused: the host 'example.com' is refused: it has no address on the public internet"
    assert "no address" in await got("https://example.com/", allow=["example.com"], resolve=resolving([]))


async def test_a_name_is_looked_up_once_and_the_address_that_was_checked_is_the_one_connected_to():
    """The second answer of the resolver is never asked for, and no system could find the name."""
    async with (
        site({"/": text("checked")}) as web,
        site({"/": text("other")}, host="127.0.0.2", port=web.port) as other,
    ):
        resolve = resolving(["127.0.0.1"], ["127.0.0.2"])
        name = f"rebinding.invalid:{web.port}"
        assert (await got(f"http://{name}/", allow=[name], resolve=resolve)).endswith("checked")
    assert resolve.asked == ["rebinding.invalid"]
    assert f"Host: {name}\r\n" in web.received[0]
    assert other.connections == 0


async def test_an_ipv6_address_is_asked_under_its_name():
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    async with site({"/": text("six")}, host="::1") as web:
        literal, name = f"[::1]:{web.port}", f"six.invalid:{web.port}"
        assert (await got(f"http://{literal}/", allow=[literal])).endswith("six")
        assert (await got(f"http://{name}/", allow=[name], resolve=resolving(["::1"]))).endswith("six")
    assert [request.split("Host: ")[1].split("\r\n")[0] for request in web.received] == [literal, name]


async def test_addresses_that_are_not_fit_are_passed_over():
    async with site({"/": text("here")}) as web:
        name = f"many.invalid:{web.port}"
        resolve = resolving(["169.254.169.254", "127.0.0.3", "127.0.0.1"])  # nobody listens at the second
        assert (await got(f"http://{name}/", allow=[name], resolve=resolve)).endswith("here")
        refused = await got(f"http://{name}/", allow=[name], resolve=resolving(["127.0.0.3"]))
        assert "no connection" in refused


async def test_redirects_are_followed_through_the_same_checks():
    async with site({"/": text("inside")}) as inside:
        pages = {
            "/here": redirect("/there?x=1"),
            "/there?x=1": redirect("/end", 308),
            "/end": text("found"),
            "/host": redirect(f"http://{inside.host}/"),
            "/name": redirect(f"http://inside.invalid:{inside.port}/"),
            "/loop": redirect("/loop"),
        }
        async with site(pages) as web:
            base = f"http://{web.host}"
            assert await got(f"{base}/here", allow=[web.host]) == (
                f"{base}/end (text/plain), characters 1-5 of 5.\nfound"
            )
            assert "is not one that may be asked" in await got(f"{base}/host", allow=[web.host])
            named = f"inside.invalid:{inside.port}"
            led = await got(f"{base}/name", allow=[web.host, named], resolve=resolving(["127.0.0.1"], ["10.0.0.1%1"]))
            assert led.startswith("refused: the host 'inside.invalid' is refused")
            assert "more than 5 redirects" in await got(f"{base}/loop", allow=[web.host])
    assert inside.connections == 0
    assert not [request for request in web.received if "cookie" in request.lower()]


async def test_a_redirect_does_not_lead_back_to_plain_http():
    authority, context = trusted()
    async with site({"/": redirect("http://boats.invalid/")}, tls=served(authority, "boats.invalid")) as web:
        allow = [f"boats.invalid:{web.port}", "boats.invalid"]
        refused = await got(
            f"https://boats.invalid:{web.port}/",
            allow=allow,
            allow_http=False,
            resolve=resolving(["127.0.0.1"]),
            tls=context,
        )
    assert "only https can be asked" in refused


def trusted() -> tuple[trustme.CA, ssl.SSLContext]:
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return authority, context


def served(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize(
    ("name", "answer"), [("boats.invalid", "aboard"), ("other.invalid", "none that proves to be the host")]
)
async def test_tls_verifies_the_name_though_the_connection_goes_to_an_address(name, answer):
    authority, context = trusted()
    async with site({"/": text("aboard")}, tls=served(authority, name)) as web:
        url, allow = f"https://boats.invalid:{web.port}/", [f"boats.invalid:{web.port}"]
        assert answer in await got(url, allow=allow, resolve=resolving(["127.0.0.1"]), tls=context)
        assert "none that proves" in await got(url, allow=allow, resolve=resolving(["127.0.0.1"]))
    assert len(web.received) == (1 if answer == "aboard" else 0)


async def test_a_body_is_read_up_to_its_bound_and_says_so():
    async with site({"/": text("x" * 500)}) as web:
        page = await got(f"http://{web.host}/", allow=[web.host], max_bytes=100)
        whole = await got(f"http://{web.host}/", allow=[web.host], max_bytes=500)
    assert page == (
        f"http://{web.host}/ (text/plain), characters 1-100 of 100."
        f" The body is longer than 100 bytes; the rest cannot be read.\n{'x' * 100}"
    )
    assert "characters 1-500 of 500.\n" in whole


def gzipped(*bodies: bytes) -> Answer:
    return Answer(headers={"Content-Type": "text/plain", "Content-Encoding": "gzip"}, pieces=bodies)


async def test_a_body_may_be_packed():
    packed = gzip.compress(b"unpacked " * 100)
    async with site({"/": gzipped(packed[:20], packed[20:])}) as web:
        assert (await got(f"http://{web.host}/", allow=[web.host])).endswith("unpacked " * 100)


async def test_a_body_packed_in_parts_is_read_whole_and_one_that_lacks_its_end_is_refused():
    parts = gzip.compress(b"one ") + gzip.compress(b"two ") + gzip.compress(b"three")
    async with site({"/": gzipped(parts[:30], parts[30:]), "/cut": gzipped(parts[:-4])}) as web:
        assert (await got(f"http://{web.host}/", allow=[web.host])).endswith("\none two three")
        assert "the answer broke off" in await got(f"http://{web.host}/cut", allow=[web.host])


async def test_packed_data_that_unpacks_to_nothing_is_not_read_for_ever():
    nothing = gzip.compress(b"")
    endless = nothing[:10] + b"\0\0\0\xff\xff" * 20_000  # deflate's empty blocks
    async with site({"/parts": gzipped(*[nothing * 50] * 100), "/blocks": gzipped(endless)}) as web:
        parts = await got(f"http://{web.host}/parts", allow=[web.host])
        blocks = await got(f"http://{web.host}/blocks", allow=[web.host], max_bytes=10_000)
    assert "is not packed as gzip" in parts
    assert blocks.endswith("is empty. The body is longer than 10000 bytes; the rest cannot be read.")


async def test_a_bomb_is_unpacked_no_further_than_the_bound(monkeypatch):
    packed = gzip.compress(b"z" * 20_000_000)
    unpacked: list[int] = []
    decompressobj = zlib.decompressobj

    class Counting:
        def __init__(self, wbits: int) -> None:
            self._stream = decompressobj(wbits)

        def decompress(self, data: bytes, room: int) -> bytes:
            found = self._stream.decompress(data, room)
            unpacked.append(len(found))
            return found

        def __getattr__(self, name: str) -> object:
            return getattr(self._stream, name)

    monkeypatch.setattr("agentcache.tools.fetching.zlib.decompressobj", lambda wbits: Counting(wbits))
    async with site({"/": gzipped(packed)}) as web:
        answer = await got(f"http://{web.host}/", allow=[web.host], max_bytes=10_000)
    assert "longer than 10000 bytes" in answer
    assert sum(unpacked) == 10_001


async def test_a_server_that_falls_silent_is_not_waited_for_longer_than_the_bound():
    async with site({"/": Answer(pieces=[b"a"], silent=True), "/go": redirect("/")}) as web:
        for path in ("/", "/go"):
            refused = await got(f"http://{web.host}{path}", allow=[web.host], timeout=0.3)
            assert refused == f"refused: http://{web.host}{path} gave no whole answer within 0.3 seconds"


def test_the_definition_names_no_host_and_an_answer_is_kept_only_with_a_ttl():
    one, other = http_get(["example.com"]), http_get(["other.org"], ttl="5m", allow_http=True)
    assert one.definition() == other.definition()
    assert "example" not in str(one.definition())
    assert (one.deterministic, one.ttl_s) == (False, None)
    assert (other.deterministic, other.ttl_s) == (True, 300)
    assert other.version != http_get(["other.org"], ttl="5m").version
