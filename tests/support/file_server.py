"""A server on loopback that gives files, as a web server or as a bucket does: whole, by range, or in pieces."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class FileServer(ThreadingHTTPServer):
    """Gives `files` by their paths, leads `redirects` elsewhere, and breaks off after `breaks` many bytes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.breaks: list[int] = []
        self.asked: list[tuple[str, str | None]] = []  # the path and the range of each GET

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_HEAD(self) -> None:
        content = self.server.files.get(self._path)
        self._head(404 if content is None else 200, content or b"")

    def do_GET(self) -> None:
        self.server.asked.append((self._path, self.headers.get("Range")))
        if leads := self.server.redirects.get(self._path):
            self.send_response(302)
            self.send_header("Location", leads)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        query = parse_qs(urlsplit(self.path).query)
        content = self.server.files.get(self._path)
        if content is None and "list-type" in query:
            content = self._listing(query.get("prefix", [""])[0])
        self._give(content)

    @property
    def _path(self) -> str:
        return unquote(urlsplit(self.path).path)

    def _give(self, content: bytes | None) -> None:
        if content is None:
            self._head(404, b"")
            return
        ranged = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        same = self.headers.get("If-Range", tag_of(content)) == tag_of(content)
        if self.headers.get("If-Match", tag_of(content)) != tag_of(content):
            self._head(412, b"")
            return
        if ranged and same:
            start = int(ranged[1])
            stop = min(int(ranged[2]) + 1 if ranged[2] else len(content), len(content))
            self._head(206, content, (start, stop))
            content = content[start:stop]
        else:
            self._head(200, content)
        if self.server.breaks:
            content = content[: self.server.breaks.pop(0)]
            self.close_connection = True
        self.wfile.write(content)

    def _head(self, status: int, content: bytes, part: tuple[int, int] | None = None) -> None:
        self.send_response(status)
        start, stop = part or (0, len(content))
        if part is not None:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("ETag", tag_of(content))
        self.send_header("Last-Modified", "Sun, 29 Nov 2026 12:00:00 GMT")
        self.end_headers()

    def _listing(self, prefix: str) -> bytes:
        """Return the objects of a bucket as ListObjectsV2 does."""
        bucket = self._path.strip("/")
        keys = {
            path.removeprefix(f"/{bucket}/"): content
            for path, content in sorted(self.server.files.items())
            if path.startswith(f"/{bucket}/{prefix}")
        }
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size>"
            f"<LastModified>2026-11-29T12:00:00.000Z</LastModified><ETag>{escape(tag_of(content))}</ETag></Contents>"
            for key, content in keys.items()
        )
        return (
            f"<ListBucketResult><Name>{bucket}</Name><IsTruncated>false</IsTruncated>"
            f"<KeyCount>{len(keys)}</KeyCount>{entries}</ListBucketResult>"
        ).encode()

    def log_message(self, format: str, *args: object) -> None:
        pass


def tag_of(content: bytes) -> str:
    """Return what is said to change when the file does."""
    return f'"{hashlib.md5(content).hexdigest()}"'


@contextmanager
def serving() -> Iterator[FileServer]:
    """Run a server until the block ends."""
    with FileServer() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
