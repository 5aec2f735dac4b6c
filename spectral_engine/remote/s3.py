"""Files in a bucket by `s3://`: credentials, region and endpoint are those of the `AWS_…` variables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from spectral_engine.errors import InvalidRequest
from spectral_engine.remote.addresses import shown
from spectral_engine.remote.allowed import Allowed
from spectral_engine.remote.answer import Unavailable
from spectral_engine.remote.https import HttpsFile

EXPIRES = timedelta(hours=12)
ANYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


@dataclass(frozen=True)
class _Endpoint(Allowed):
    """The server of a bucket, which lies where the variables say, and leads to no other."""

    origin: tuple[str, str] = ("", "")

    def check(self, url: str, field: str) -> None:
        """Raise InvalidRequest for any other server."""
        if urlsplit(url)[:2] != self.origin:
            raise InvalidRequest(
                f"{field}: the endpoint of the bucket leads to {shown(url)}, another server: name the right one in "
                "AWS_ENDPOINT_URL and AWS_REGION",
                pointer=f"#/{field}",
            )


def s3_file(url: str, field: str) -> HttpsFile:
    """Return one object of a bucket, by the URL that obstore signs for it. Raises Unavailable."""
    import obstore

    unsigned = os.environ.get("AWS_SKIP_SIGNATURE", "").lower() in {"1", "true"}
    store, key = _opened(url, unsigned=unsigned)
    try:
        signed = urlsplit(obstore.sign(store, "GET", key, EXPIRES))
    except Exception as error:
        raise _unavailable(error) from error
    asked = urlunsplit(signed._replace(query="")) if unsigned else signed.geturl()
    return HttpsFile(asked, _Endpoint((), ANYWHERE, (signed.scheme, signed.netloc)), field)


def keys_below(url: str) -> Iterator[tuple[str, int]]:
    """Yield the names of all objects below `s3://bucket/folder/`, with `/` between folders, and their sizes.

    Raises Unavailable.
    """
    import obstore

    store, folder = _opened(url, unsigned=False)
    try:
        for several in obstore.list(store, prefix=folder or None):
            for one in several:
                yield one["path"].removeprefix(folder).lstrip("/"), one["size"]
    except Exception as error:
        raise _unavailable(error) from error


def _opened(url: str, *, unsigned: bool) -> tuple[Any, str]:
    """Return a bucket, and what lies behind it in the URL; one that is only to name its server needs no key."""
    from obstore.store import S3Store

    parts = urlsplit(url)
    keyless: Any = {"access_key_id": "none", "secret_access_key": "none", "skip_signature": False}
    store = S3Store(parts.netloc, **(keyless if unsigned else {}))
    return store, unquote(parts.path).lstrip("/")


def _unavailable(error: Exception) -> Unavailable:
    """Return why a bucket cannot be read: obstore has tried again by itself where that may help."""
    words = " ".join(str(error).split("\n\n")[0].split())[:300]
    return Unavailable(f"cannot be read: {words}", passing=False)
