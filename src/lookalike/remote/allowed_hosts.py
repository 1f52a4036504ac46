"""Hosts that untrusted addresses may reach: public ones, and those that the operator allows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Protocol

from lookalike.errors import ConfigError

VARIABLE: Final = "LOOKALIKE_ALLOWED_HOSTS"
"""Environment variable with further hosts, networks and buckets that may be reached, separated by commas."""

_NETWORK_64: Final = IPv6Network("64:ff9b::/96")
"""IPv4 addresses behind NAT64."""

_ISATAP: Final = 0x5EFE
"""Bits 32 to 63 of IPv6 addresses that tunnel to the IPv4 address in their last 32 bits (RFC 5214)."""

_SPECIAL: Final = (IPv4Network("192.0.0.0/24"), IPv4Network("168.63.129.16/32"))
"""Networks that some versions of Python do not count as reserved, or that are formally public: clouds have internal
services there."""


class Named(Protocol):
    """Parts of an address that are compared with allowed names."""

    @property
    def origin(self) -> str:
        """Scheme and host."""
        ...

    @property
    def name(self) -> str:
        """The host without its port."""
        ...


@dataclass(frozen=True, slots=True)
class Allowed:
    """Hosts and networks allowed beside public ones.

    Attributes:
        names: Host names, and origins such as `s3://bucket`.
        networks: Networks of private addresses.
    """

    names: frozenset[str]
    networks: tuple[IPv4Network | IPv6Network, ...]


@cache
def _allowed(text: str) -> Allowed:
    names, networks = set[str](), list[IPv4Network | IPv6Network]()
    for part in filter(None, (each.strip().rstrip("/") for each in text.split(","))):
        word = part.lower() if not part.startswith(("s3://", "gs://", "az://")) else part
        try:
            networks.append(ip_network(word.strip("[]")))
        except ValueError:
            pass
        else:
            continue
        if "/" in word.partition("://")[2] or ("/" in word and "://" not in word):
            raise ConfigError(
                f"{VARIABLE}: expected names of hosts, networks such as 10.0.0.0/8, or buckets such as s3://shop, "
                f"separated by commas, got {part!r}"
            )
        names.add(word)
    return Allowed(frozenset(names), tuple(networks))


def names(address: Named) -> bool:
    """Whether the operator allows a host or bucket by name.

    Raises:
        ConfigError: `LOOKALIKE_ALLOWED_HOSTS` is invalid.
    """
    found = _allowed(os.environ.get(VARIABLE, "")).names
    return address.origin in found or (address.origin.startswith("http") and address.name.lower() in found)


def may_connect(address: str) -> bool:
    """Whether a connection to an IP address is allowed: it is public, or the operator allows its network.

    Args:
        address: Resolved IP address, perhaps with a zone, `fe80::1%eth0`.

    Raises:
        ConfigError: `LOOKALIKE_ALLOWED_HOSTS` is invalid.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    networks = _allowed(os.environ.get(VARIABLE, "")).networks
    inner = _within(found)
    return any(each in network for network in networks for each in (found, inner)) or is_public(inner)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an IP address is public: not of this machine, a private network or a multicast group."""
    inner = _within(address)
    special = inner.is_multicast or inner.is_reserved or inner.is_unspecified or inner.is_link_local
    special = special or (isinstance(inner, IPv6Address) and inner.is_site_local)
    return inner.is_global and not special and not any(inner in network for network in _SPECIAL)


def _within(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """IPv4 address embedded in an IPv6 address, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and (address in _NETWORK_64 or (int(address) >> 32) & 0xFCFFFFFF == _ISATAP):
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address
