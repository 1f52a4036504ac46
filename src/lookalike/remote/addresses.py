"""Addresses of photos and tables: their parser, and the rule which hosts an item's address may reach.

Only the schemes in `SCHEMES` are read. Addresses from the operator, or from a table on this machine, may name any host.
Those in a remote table may name the place of that table and public hosts; see `reach_of`.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from lookalike.errors import PhotoError
from lookalike.remote import allowed_hosts
from lookalike.types import Item

STORES: Final = ("s3", "gs", "az")
WEB: Final = ("http", "https")
SCHEMES: Final = (*STORES, *WEB)

LONGEST: Final = 8_192
"""Largest number of characters of an address."""

EXPECTED: Final = "addresses that can be read begin with s3://, gs://, az:// or https://"

_FORM: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_BUCKET: Final = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]*")
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s/@:\[\]\\?#%]+)(:\d{1,5})?")
_CHAINED: Final = re.compile(r"::[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:[/\\]", re.IGNORECASE)
_LOGIN: Final = re.compile(r"(?<=://)[^/\s?#]*@")
_QUERY: Final = re.compile(r"(https?://[^\s?#'\"]*)[?#][^\s'\"]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """Parsed address.

    Attributes:
        scheme: One of `SCHEMES`.
        host: Bucket or container; on the web, lower-case host with the port if given.
        path: Key of an object; on the web, the path with its query, beginning with `/`.
        login: `user:password` of a web address; empty without.
    """

    scheme: str
    host: str
    path: str
    login: str = ""

    @property
    def origin(self) -> str:
        """Scheme and host, such as `https://shop.example`."""
        return f"{self.scheme}://{self.host}"

    @property
    def text(self) -> str:
        """Address without its login."""
        return f"{self.origin}{self.path}" if self.is_on_the_web else f"{self.origin}/{self.path}"

    @property
    def is_on_the_web(self) -> bool:
        """Whether it is read by HTTP."""
        return self.scheme in WEB

    @property
    def name(self) -> str:
        """Host without its port."""
        return re.sub(r":\d+$", "", self.host).strip("[]").rstrip(".")


def is_address(text: str) -> bool:
    """Whether a text looks like an address of any scheme, rather than a path of this machine."""
    return "://" in text


def is_remote(text: str) -> bool:
    """Whether a text is an address of a store or the web; the scheme may be in capitals."""
    return text.partition("://")[0].lower() in SCHEMES and "://" in text


def is_on_the_web(text: str) -> bool:
    """Whether an address is of the web, which has no listings and no reliable modification times."""
    return text.partition("://")[0].lower() in WEB and "://" in text


def parse(text: str) -> Address:
    """Parse an address.

    Raises:
        PhotoError: It has another scheme, is chained or malformed, or contains `..`.
    """
    found = _FORM.fullmatch(text)
    if found is None or found[1].lower() not in SCHEMES or _CHAINED.search(text):
        raise PhotoError(shown(text), EXPECTED)
    if len(text) > LONGEST or any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise PhotoError(shown(text[:200]), f"expected an address of at most {LONGEST:,} printable characters")
    scheme, rest = found[1].lower(), found[2]
    address = _web_address(scheme, text) if scheme in WEB else _store_address(scheme, rest, text)
    if has_parent_step(address.path):
        raise PhotoError(shown(text), "expected an address without '..'")
    return address


def _web_address(scheme: str, text: str) -> Address:
    try:
        parts = urlsplit(text)
    except ValueError:
        raise PhotoError(shown(text), "expected the name of a server after ://") from None
    login, _, host = parts.netloc.rpartition("@")
    found = _HOST.fullmatch(host)
    if found is None or "\\" in login or (found[2] and int(found[2][1:]) > 65_535):
        raise PhotoError(shown(text), "expected the name of a server after ://")
    query = f"?{parts.query}" if parts.query else ""
    return Address(scheme, host.lower(), (parts.path or "/") + query, login)


def _store_address(scheme: str, rest: str, text: str) -> Address:
    bucket, _, key = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise PhotoError(shown(text), "expected the name of a bucket after ://")
    return Address(scheme, bucket, key)


def has_parent_step(path: str) -> bool:
    """Whether a path has a part `..`, also percent-encoded, once or repeatedly."""
    path = path.partition("?")[0]
    for _ in range(4):
        if ".." in re.split(r"[/\\]", path):
            return True
        path = unquote(path)
    return False


def shown(text: str) -> str:
    """Remove logins and queries, which may hold secrets, from the addresses in a text."""
    return _QUERY.sub(r"\1", _LOGIN.sub("", text)) if "://" in text else text


def place_of(text: str) -> str:
    """Address of a catalogue without login, query and fragment, which may be secret.

    Raises:
        PhotoError: The address is invalid.
    """
    address = parse(text)
    kept = address.text.partition("?")[0] if address.is_on_the_web else address.text
    return kept.rstrip("/")


@dataclass(frozen=True, slots=True)
class Reach:
    """Address with its permission to lead to private networks.

    Attributes:
        address: Address.
        private: Whether the host may be in a private network, as one that the operator named; redirects to other hosts
            may never lead there.
        hosts: Hosts that redirects may lead to, with their ports if they have one; None is any public host.
    """

    address: Address
    private: bool = True
    hosts: frozenset[str] | None = None


def reach_of(item: Item) -> Reach:
    """Decide which hosts the address of an item's photo may reach.

    Addresses in a table on this machine are trusted. Those of a remote catalogue must lie beneath the catalogue's own
    address, have the same host or bucket, or be on a public host of the web. Other buckets would be read with the
    credentials of this machine, and must be named in `LOOKALIKE_ALLOWED_HOSTS`.

    Raises:
        PhotoError: The address may not be read.
    """
    if not is_address(item.root):
        address = _without_login(item.photo)
        return _reach(address, private=bool(item.root) or allowed_hosts.names(address))
    home = parse(item.root)
    if not is_address(item.photo):
        if item.photo.startswith(("/", "\\")) or _SCHEME.match(item.photo) or _CHAINED.search(item.photo):
            raise PhotoError(
                shown(item.photo),
                "a table that is not on this machine cannot name files of this machine; expected a path relative to "
                "the table, or an address",
            )
        return Reach(parse(item.location))
    address = _without_login(item.photo)
    return _reach(address, private=address.origin == home.origin or allowed_hosts.names(address))


def _reach(address: Address, *, private: bool) -> Reach:
    if not private and not address.is_on_the_web:
        raise PhotoError(
            address.text,
            f"a remote table cannot name objects of {address.origin}; name it in {allowed_hosts.VARIABLE}",
        )
    return Reach(address, private)


def _without_login(text: str) -> Address:
    address = parse(text)
    if address.login:
        raise PhotoError(shown(text), "expected an address without a user name and password")
    return address


def roots_of(item: Item, *, listed: bool = False) -> list[str]:
    """Folders and URLs that indexing an item allows a server to show.

    Args:
        item: Item of a catalogue.
        listed: Whether paths were listed one by one; the root is then the folder of the photo.

    Returns:
        Folder or URL that the item is relative to, and host or bucket of an absolute address.
    """
    if listed and not is_address(item.location):
        return [os.path.dirname(os.path.abspath(item.location))]  # noqa: PTH100, PTH120 - links are followed later
    roots = [item.root] if item.root else []
    if is_address(item.photo):
        with suppress(PhotoError):
            roots.append(parse(item.photo).origin)
    return roots
