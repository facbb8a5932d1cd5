"""The origin of a request: what trusted proxies wrote counts, and nothing that a caller can make up."""

import asyncio

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from mediq.http.origin import Origin, Proxies

PROXIES = Proxies(["10.0.0.2", "10.0.1.0/24", "fd00::2"])


class Connection(asyncio.Transport):
    """A connection from `peer`."""

    def __init__(self, peer: str) -> None:
        super().__init__({"peername": (peer, 4711)})


def origin(peer: str, *headers: tuple[str, str], proxies: Proxies = PROXIES) -> Origin:
    request = make_mocked_request("GET", "/", CIMultiDict(headers), transport=Connection(peer))
    return proxies.origin(request)


@pytest.mark.parametrize("header", ["203.0.113.7", "203.0.113.7:4711", "1.1.1.1, 203.0.113.7", "x, 203.0.113.7"])
@pytest.mark.parametrize("peer", ["10.0.0.2", "10.0.1.77", "fd00::2", "::ffff:10.0.0.2"])
def test_the_caller_of_a_trusted_proxy_is_the_origin(peer: str, header: str) -> None:
    assert origin(peer, ("X-Forwarded-For", header)) == Origin("203.0.113.7", "http")


@pytest.mark.parametrize(
    "header",
    [
        "for=203.0.113.7",
        'For="203.0.113.7:4711"',
        "for=1.1.1.1, for=203.0.113.7;by=10.0.0.2",
        "for=1.1.1.1;proto=https, by=10.0.0.2;for=203.0.113.7",
    ],
)
def test_the_forwarded_header_gives_the_origin(header: str) -> None:
    assert origin("10.0.0.2", ("Forwarded", header)) == Origin("203.0.113.7", "http")


@pytest.mark.parametrize("peer", ["203.0.113.9", "10.0.0.3", "10.0.2.1", "127.0.0.1"])
def test_headers_of_an_untrusted_peer_are_ignored(peer: str) -> None:
    made_up = [("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-Proto", "https"), ("Forwarded", "for=1.1.1.1;proto=https")]
    assert origin(peer, *made_up) == Origin(peer, "http")
    assert origin("10.0.0.2", *made_up, proxies=Proxies()) == Origin("10.0.0.2", "http"), "none by default"


def test_a_chain_of_trusted_proxies_is_followed() -> None:
    chain = ("X-Forwarded-For", "1.1.1.1, 203.0.113.7, 10.0.1.5, 10.0.0.2")
    assert origin("10.0.0.2", chain).address == "203.0.113.7"
    lines = [("X-Forwarded-For", "1.1.1.1, 203.0.113.7"), ("X-Forwarded-For", "10.0.1.5")]
    assert origin("10.0.0.2", *lines).address == "203.0.113.7", "also in two lines"
    assert origin("10.0.0.2", ("X-Forwarded-For", "10.0.1.5")).address == "10.0.1.5", "a proxy that asks for itself"


@pytest.mark.parametrize("unknown", ["unknown", "_hidden", "", "999.1.1.1", "1.1.1.1\u00b2", "[::1", "10.0.0.2,"])
def test_a_proxy_without_a_caller_is_the_origin_itself(unknown: str) -> None:
    assert origin("10.0.0.2", ("X-Forwarded-For", f"1.1.1.1, {unknown}")).address == "10.0.0.2"
    assert origin("10.0.0.2", ("Forwarded", f'for=1.1.1.1, for="{unknown}"')).address == "10.0.0.2"
    assert origin("10.0.0.2", ("X-Forwarded-For", f"{unknown}, 10.0.1.5")).address in ("10.0.1.5", "10.0.0.2")


def test_headers_that_contradict_each_other_are_both_made_up() -> None:
    theirs, ours = ("Forwarded", "for=1.1.1.1"), ("X-Forwarded-For", "203.0.113.7")
    assert origin("10.0.0.2", theirs, ours) == Origin("10.0.0.2", "http")
    assert origin("10.0.0.2", ("Forwarded", "for=203.0.113.7"), ours) == Origin("203.0.113.7", "http")


@pytest.mark.parametrize(
    ("hops", "schemes", "scheme"),
    [
        ("203.0.113.7", "https", "https"),
        ("203.0.113.7", "HTTPS", "https"),
        ("203.0.113.7", "gopher", "http"),
        ("203.0.113.7", "", "http"),
        ("1.1.1.1, 203.0.113.7", "https", "https"),
        ("1.1.1.1, 203.0.113.7", "https, http", "http"),
        ("203.0.113.7, 10.0.1.5", "https, http", "https"),
        ("203.0.113.7, 10.0.1.5", "http, https, http", "https"),
        ("unknown, 10.0.1.5", "https, http", "http"),
    ],
)
def test_the_scheme_is_that_of_the_callers_hop(hops: str, schemes: str, scheme: str) -> None:
    found = origin("10.0.0.2", ("X-Forwarded-For", hops), ("X-Forwarded-Proto", schemes))
    assert found.scheme == scheme


def test_a_scheme_without_an_address_is_ignored() -> None:
    assert origin("10.0.0.2", ("X-Forwarded-Proto", "https")) == Origin("10.0.0.2", "http")
    assert origin("10.0.0.2", ("Forwarded", "for=203.0.113.7;proto=https")) == Origin("203.0.113.7", "https")


def test_callers_who_choose_among_many_addresses_count_as_one() -> None:
    assert origin("2001:db8:1:2::7") == origin("2001:db8:1:2:ffff::1") == Origin("2001:db8:1:2::/64", "http")
    assert origin("2001:db8:1:3::7") != origin("2001:db8:1:2::7")
    assert origin("fd00::2", ("X-Forwarded-For", "[2001:db8:1:2::7]:4711")).address == "2001:db8:1:2::/64"
    assert origin("::ffff:203.0.113.7").address == "203.0.113.7"
