"""Hosts that untrusted addresses may reach: public ones, and those that the operator allows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Protocol

from lookalike.errors import ConfigError

VARIABLE: Final = "LOOKALIKE_ALLOWED_HOSTS"
"""The environment variable that names hosts, networks and buckets beside the public ones, separated by commas."""

_NETWORK_64: Final = IPv6Network("64:ff9b::/96")
"""IPv4 addresses behind NAT64."""

_SPECIAL: Final = (IPv4Network("192.0.0.0/24"), IPv4Network("168.63.129.16/32"))
"""Not reserved by every version of Python, or public by number; clouds have services for their own machines there."""


class Named(Protocol):
    """What of an address is compared with the names that are allowed."""

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
    """What is allowed beside public hosts.

    Attributes:
        names: Names of hosts, and origins such as `s3://bucket`.
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
    """Whether the operator allows a host, or a bucket, by its name.

    Raises:
        ConfigError: `LOOKALIKE_ALLOWED_HOSTS` makes no sense.
    """
    found = _allowed(os.environ.get(VARIABLE, "")).names
    return address.origin in found or (address.origin.startswith("http") and address.name.lower() in found)


def may_connect(address: str) -> bool:
    """Whether a connection may be made to an IP address: it is public, or the operator allows its network.

    Args:
        address: Resolved IP address, also with a zone, `fe80::1%eth0`.

    Raises:
        ConfigError: `LOOKALIKE_ALLOWED_HOSTS` makes no sense.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    networks = _allowed(os.environ.get(VARIABLE, "")).networks
    inner = _within(found)
    return any(each in network for network in networks for each in (found, inner)) or is_public(inner)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the internet at large: not of this machine, a private network, or a group."""
    inner = _within(address)
    special = inner.is_multicast or inner.is_reserved or inner.is_unspecified or inner.is_link_local
    return inner.is_global and not special and not any(inner in network for network in _SPECIAL)


def _within(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and address in _NETWORK_64:
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address
