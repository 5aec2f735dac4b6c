"""Which servers may be asked: without a list any, as on one's own machine; with a list what stands in it."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from spectral_engine.errors import InvalidRequest
from spectral_engine.remote.addresses import check_plain, is_remote, shown

VARIABLE = "EIGENPRESS_DATA_SOURCES"
PORTS = {"https": 443, "http": 80}
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Allowed:
    """What may be read by URL: `prefixes` are beginnings of URLs, `networks` addresses that are not public.

    Where there is no list, `prefixes` is None: any server may be asked over TLS.
    """

    prefixes: tuple[SplitResult, ...] | None = None
    networks: tuple[Network, ...] = ()

    @classmethod
    def by_environment(cls) -> Allowed:
        """Return the list in `EIGENPRESS_DATA_SOURCES`, of entries with commas or blanks between them."""
        said = os.environ.get(VARIABLE)
        return cls() if said is None else cls.of(said)

    @classmethod
    def of(cls, said: str) -> Allowed:
        """Return the list in a text; raises InvalidRequest for an entry that is neither a URL nor a network."""
        prefixes, networks = [], []
        for entry in said.replace(",", " ").split():
            if is_remote(entry):
                check_plain(entry, VARIABLE)
                prefixes.append(prefix := urlsplit(entry))
                networks += _as_network(prefix.hostname or "")
            elif network := _as_network(entry):
                networks += network
            else:
                raise InvalidRequest(
                    f"{VARIABLE}: {entry!r} is neither the beginning of a URL, as https://data.example.org/sets/, nor "
                    "a network, as 10.1.0.0/16"
                )
        return cls(tuple(prefixes), tuple(networks))

    def check(self, url: str, field: str) -> None:
        """Raise InvalidRequest, by `field`, where this URL may not be read, and say how it may."""
        check_plain(url, field)
        asked = urlsplit(url)
        if self.prefixes is None:
            if asked.scheme.lower() not in {"https", "s3"}:
                raise InvalidRequest(
                    f"{field}: {shown(url)} may be changed on its way: give it by https://, or list it in {VARIABLE}",
                    pointer=f"#/{field}",
                )
        elif not any(_lies_in(asked, prefix) for prefix in self.prefixes):
            raise InvalidRequest(
                f"{field}: {shown(url)} may not be read: whoever runs this may list the beginning of its URL in "
                f"{VARIABLE}; or give the file itself",
                pointer=f"#/{field}",
            )

    def connect(
        self, address: tuple[str, int], timeout: Any = None, source: tuple[str, int] | None = None
    ) -> socket.socket:
        """Connect as `socket.create_connection` does, where there is a list to public or listed addresses alone.

        The address is looked up once, so that what was looked at is what is asked. Raises PermissionError.
        """
        if self.prefixes is None:
            return socket.create_connection(address, timeout, source)
        host, port = address
        looked_up = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        numerics = list(dict.fromkeys(str(one[4][0]) for one in looked_up))
        for numeric in numerics:
            if not self._may_connect(ip_address(numeric.partition("%")[0])):
                raise PermissionError(
                    f"{host} lies at {numeric}, which is no public address: list its network in {VARIABLE}"
                )
        for numeric in numerics[:-1]:
            with suppress(OSError):
                return socket.create_connection((numeric, port), timeout, source)
        return socket.create_connection((numerics[-1], port), timeout, source)

    def _may_connect(self, address: Address) -> bool:
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        plain = mapped or address
        public = plain.is_global and not plain.is_multicast
        return public or any(plain in network for network in self.networks)


def _as_network(text: str) -> list[Network]:
    try:
        return [ip_network(text)]
    except ValueError:
        return []


def _lies_in(asked: SplitResult, prefix: SplitResult) -> bool:
    """Say whether a URL begins as a listed one does, folder by folder."""
    if (asked.scheme.lower(), asked.hostname) != (prefix.scheme.lower(), prefix.hostname):
        return False
    usual = PORTS.get(prefix.scheme.lower())
    if (asked.port or usual) != (prefix.port or usual):
        return False
    folder = unquote(prefix.path).rstrip("/")
    path = unquote(asked.path)
    return path == folder or path.startswith(f"{folder}/")
