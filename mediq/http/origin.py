"""Where a request comes from: the address that counts, and the scheme, also behind reverse proxies.

What a request says of its own way is believed only as far as trusted proxies have written it: each hop appends the
address that it was called from, so that the right-most address that is no trusted proxy's is the caller's, and all to
the left of it may be made up.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec
from aiohttp import web

_SCHEMES: Final = frozenset({"http", "https"})
_ONE_HOME: Final = 64
"""Bits of an IPv6 address that one home or clinic has for itself; the rest is its own to choose."""
_CALLERS: Final = 1024
"""Addresses to remember; parsing one takes several microseconds."""


class Origin(msgspec.Struct, frozen=True):
    """The caller's address, as calls are counted by it, and the scheme that their browser shows."""

    address: str
    scheme: str


class _Hop(msgspec.Struct, frozen=True):
    address: str
    scheme: str = ""


class Proxies:
    """The reverse proxies whose word is believed, by address or network."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted = [ipaddress.ip_network(text) for text in trusted]

    def origin(self, request: web.Request) -> Origin:
        """Where the request comes from.

        Two headers that contradict each other prove that one was made up: neither is then believed.
        """
        peer = _peer(request.remote or "", request.scheme)
        if not self._trusted or not self._is_proxy(request.remote or ""):
            return peer
        found = {self._caller(hops, peer) for hops in (_forwarded(request), _x_forwarded(request)) if hops}
        return found.pop() if len(found) == 1 else peer

    def _caller(self, hops: list[_Hop], peer: Origin) -> Origin:
        """The right-most hop that is no trusted proxy; the last one known if a proxy names none."""
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
    """The hops of X-Forwarded-For, each with its X-Forwarded-Proto; a single one of these speaks for all."""
    addresses = _listed(request, "X-Forwarded-For")
    schemes = [scheme.lower() for scheme in _listed(request, "X-Forwarded-Proto")]
    schemes = (schemes or [""])[:1] * len(addresses) + schemes
    return [_Hop(*pair) for pair in zip(addresses, schemes[len(schemes) - len(addresses) :], strict=True)]


def _listed(request: web.Request, name: str) -> list[str]:
    return [each.strip() for line in request.headers.getall(name, ()) for each in line.split(",")]


@lru_cache(_CALLERS)
def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address in `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1` or `[2001:db8::1]:4711`; None in all else."""
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


@lru_cache(_CALLERS)  # who has called calls again
def _peer(remote: str, scheme: str) -> Origin:
    """The origin of a request that came straight from there."""
    return Origin(_counted(remote), scheme)


@lru_cache(_CALLERS)
def _counted(text: str) -> str:
    """An address as calls are counted by it: of IPv6 the network, in which a caller may take any address it likes."""
    address = _parsed(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _ONE_HOME), strict=False))
    return str(address) if address is not None else text
