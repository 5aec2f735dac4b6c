"""Which addresses only this machine reaches."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address; of a name that is not known, it is not said."""
    return host == "localhost" or _loopback(host) is True


def is_public(host: str) -> bool:
    """Tell whether a text is an address that other machines may reach; a name or a socket's path is none."""
    return _loopback(host) is False


def _loopback(host: str) -> bool | None:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return None
