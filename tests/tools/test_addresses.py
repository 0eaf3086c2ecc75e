"""Which hosts may be asked, and which addresses are never connected to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache import SettingsError
from agentcache.tools.addresses import allowed_hosts, may_connect

INSIDE = ["127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "::1", "fd12::1"]
NEVER = [
    "0.0.0.0",
    "100.64.0.1",  # carrier-grade NAT
    "100.100.100.200",  # a cloud's metadata
    "169.254.169.254",  # another's
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::7f00:1",  # IPv4-compatible
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b:1::1",
    "100::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4
    "3fff::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "2606:4700::1111%lo",
    "localhost",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450::1"]


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_public_internet_are_fit(address):
    assert may_connect(address, allow_private=False)


@pytest.mark.parametrize("address", INSIDE)
def test_private_addresses_are_fit_only_where_the_author_says_so(address):
    assert not may_connect(address, allow_private=False)
    assert may_connect(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_never_are(address):
    assert not may_connect(address, allow_private=False)
    assert not may_connect(address, allow_private=True)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_python_knows_to_be_no_public_address_is_never_taken_for_one(ip: IPv4Address | IPv6Address):
    special = ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_reserved
    assert not (may_connect(str(ip), allow_private=False) and (special or ip.is_unspecified))


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_is_fit_in_the_clothes_of_an_ipv6_one(ip: IPv4Address):
    number = int(ip)
    for dressed in (number, 0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert not may_connect(str(IPv6Address(dressed)), allow_private=True) or dressed == 1


@pytest.mark.parametrize(
    ("entry", "host", "port", "covered"),
    [
        ("example.com", "example.com", 443, True),
        ("EXAMPLE.com.", "example.com", 443, True),
        ("example.com", "example.com", 8443, False),
        ("example.com", "www.example.com", 443, False),
        ("example.com", "example.com.evil.org", 443, False),
        ("*.example.com", "a.b.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("*.example.com", "evilexample.com", 443, False),
        ("example.com:8443", "example.com", 8443, True),
        ("example.com:8443", "example.com", 443, False),
        ("example.com:443", "example.com", 443, True),
        ("[::1]:8080", "::1", 8080, True),
    ],
)
def test_an_entry_covers_a_host(entry, host, port, covered):
    [allowed] = allowed_hosts([entry])
    assert allowed.covers(host, port, default=443) is covered


@pytest.mark.parametrize(
    "entries", [[], "example.com", ["https://example.com"], ["*"], ["a.*.com"], ["b\u00fccher.de"], ["a b"], ["u@a.de"]]
)
def test_what_is_no_host_is_refused_at_declaration(entries):
    with pytest.raises(SettingsError):
        allowed_hosts(entries)
