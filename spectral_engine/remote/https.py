"""Files by `https://`: asked by range where a copy has begun, and never led to a server that is not allowed."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import IO, Any

from spectral_engine.remote.allowed import Allowed
from spectral_engine.remote.answer import CHUNK_BYTES, Answer, Unavailable

TIMEOUT_SECONDS = 60
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
OUT_OF_RANGE = 416
LASTING = (PermissionError, ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)


class HttpsFile:
    """One file of a server."""

    def __init__(self, url: str, allowed: Allowed, field: str) -> None:
        self.url = url
        self._opener = urllib.request.build_opener(
            _Redirects(allowed, field), _Https(allowed), _Http(allowed)
        )

    def open(self, start: int, tag: str | None) -> Answer:
        """Ask for the bytes from `start` on, if the file still has this tag; else for all."""
        headers = {"Accept-Encoding": "identity", "User-Agent": "eigenpress"}
        if start and tag is not None:
            headers |= {"Range": f"bytes={start}-", "If-Range": tag}
        request = urllib.request.Request(self.url, headers=headers)
        try:
            response = self._opener.open(request, timeout=TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == OUT_OF_RANGE and start:
                    return self.open(0, None)
                raise Unavailable(
                    f"is answered by {error.code} {error.reason}", passing=error.code in PASSING
                ) from error
        except (OSError, http.client.HTTPException) as error:
            raise _broken(error) from error
        answer = _answer(response)
        if answer.start and answer.tag != tag:  # as of a server that does not heed If-Range
            response.close()
            return self.open(0, None)
        return answer


def _answer(response: Any) -> Answer:
    headers = response.headers
    if (coding := headers.get("Content-Encoding", "identity")) != "identity":
        raise Unavailable(f"is sent as {coding}: store the file as it is", passing=False)
    length = headers.get("Content-Length")
    size = int(length) if length is not None and length.isdecimal() else None
    start = 0
    if response.status == http.client.PARTIAL_CONTENT:
        ranged = RANGE.match(headers.get("Content-Range", ""))
        if ranged is None:
            raise Unavailable("is answered by a part without saying which", passing=False)
        start, size = int(ranged[1]), int(ranged[2])
    return Answer(start, size, _tag(headers), _chunks(response))


def _tag(headers: Any) -> str | None:
    """Return what is the same as long as the file is: a strong ETag, or when it was changed."""
    tag = headers.get("ETag")
    return headers.get("Last-Modified") if tag is None or tag.startswith("W/") else str(tag)


def _chunks(response: IO[bytes]) -> Iterator[bytes]:
    with response:
        try:
            while chunk := response.read(CHUNK_BYTES):
                yield chunk
        except (OSError, http.client.HTTPException) as error:
            raise _broken(error) from error


def _broken(error: Exception) -> Unavailable:
    """Return why nothing comes: a server that is not there, not trusted or not allowed is not asked again."""
    reason = getattr(error, "reason", error)
    words = " ".join(str(reason).split()) or type(reason).__name__
    return Unavailable(f"cannot be read: {words}", passing=not isinstance(reason, LASTING))


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to where the list allows, and nowhere else."""

    def __init__(self, allowed: Allowed, field: str) -> None:
        self._allowed, self._field = allowed, field

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        """Check where it leads before anything is asked there; raises InvalidRequest."""
        self._allowed.check(newurl, self._field)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, allowed: Allowed) -> None:
        super().__init__()
        self._allowed = allowed

    def http_open(self, req: urllib.request.Request) -> Any:
        """Connect to an address that may be asked."""
        return self.do_open(_connecting(http.client.HTTPConnection, self._allowed), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, allowed: Allowed) -> None:
        super().__init__()
        self._allowed = allowed

    def https_open(self, req: urllib.request.Request) -> Any:
        """Connect to an address that may be asked."""
        return self.do_open(_connecting(http.client.HTTPSConnection, self._allowed), req)


def _connecting(kind: Any, allowed: Allowed) -> Any:
    """Return what makes a connection of this kind, which looks at the address before it connects."""

    def made(host: str, **options: Any) -> Any:
        connection = kind(host, **options)
        connection._create_connection = allowed.connect
        return connection

    return made
