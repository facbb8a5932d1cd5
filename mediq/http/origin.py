"""The origin of a request: the caller's address and scheme, behind reverse proxies too.

Forwarding headers count only as far as trusted proxies wrote them. Each proxy appends the address that called it, so
the caller is the right-most address that is no trusted proxy. Everything to its left may be made up.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec
from aiohttp import web

_SCHEMES: Final = frozenset({"http", "https"})
_IPV6_PREFIX: Final = 64
"""Bits of an IPv6 address that identify a network; its users choose the rest."""
_CACHE_SIZE: Final = 1024
"""Parsed addresses to keep; parsing one takes several microseconds."""


class Origin(msgspec.Struct, frozen=True):
    """The address under which calls are counted, and the scheme of the URL in the caller's browser."""

    address: str
    scheme: str


class _Hop(msgspec.Struct, frozen=True):
    address: str
    scheme: str = ""


class Proxies:
    """The trusted reverse proxies, by address or network.

    Proxies(["10.0.0.2", "10.0.1.0/24"]).origin(request)
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted = [ipaddress.ip_network(text) for text in trusted]

    def origin(self, request: web.Request) -> Origin:
        """The origin of a request.

        If Forwarded and X-Forwarded-For contradict each other, one was made up, and neither counts.
        """
        peer = _peer(request.remote or "", request.scheme)
        if not self._trusted or not self._is_proxy(request.remote or ""):
            return peer
        found = {self._caller(hops, peer) for hops in (_forwarded(request), _x_forwarded(request)) if hops}
        return found.pop() if len(found) == 1 else peer

    def _caller(self, hops: list[_Hop], peer: Origin) -> Origin:
        """The right-most hop that is no trusted proxy, or the last known one if a proxy names no address."""
        known = peer
        for hop in reversed(hops):
            if _parsed(hop.address) is None:
                break
            known = Origin(_counted(hop.address), hop.scheme if hop.scheme in _SCHEMES else known.scheme)
            if not self._is_proxy(hop.address):
                break
        return known

    def _is_proxy(self, text: str) -> bool:
        address = _parsed(text)
        return address is not None and any(address in network for network in self._trusted)


def _forwarded(request: web.Request) -> list[_Hop]:
    """The hops of the Forwarded header (RFC 7239)."""
    return [_Hop(each.get("for", ""), each.get("proto", "").lower()) for each in request.forwarded]


def _x_forwarded(request: web.Request) -> list[_Hop]:
    """The hops of X-Forwarded-For, each with its X-Forwarded-Proto; a single scheme counts for all hops."""
    addresses = _header_values(request, "X-Forwarded-For")
    schemes = [scheme.lower() for scheme in _header_values(request, "X-Forwarded-Proto")]
    schemes = (schemes or [""])[:1] * len(addresses) + schemes
    return [_Hop(*pair) for pair in zip(addresses, schemes[len(schemes) - len(addresses) :], strict=True)]


def _header_values(request: web.Request, name: str) -> list[str]:
    return [each.strip() for line in request.headers.getall(name, ()) for each in line.split(",")]


@lru_cache(_CACHE_SIZE)
def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address in `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1` or `[2001:db8::1]:4711`; otherwise None."""
    if text.startswith("["):
        text, closed, _ = text[1:].partition("]")
        text = text if closed else ""
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(_CACHE_SIZE)
def _peer(remote: str, scheme: str) -> Origin:
    """The origin of a request that came without a proxy."""
    return Origin(_counted(remote), scheme)


@lru_cache(_CACHE_SIZE)
def _counted(text: str) -> str:
    """The address under which calls are counted: of IPv6 the network, since a caller can choose any address in it."""
    address = _parsed(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address) if address is not None else text
