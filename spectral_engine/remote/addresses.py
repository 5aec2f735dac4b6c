"""What is given in place of a file: `https://…`, `s3://bucket/key`, and several files by `{000..011}`."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from spectral_engine.errors import InvalidRequest

SCHEMES = ("https", "http", "s3")
SEVERAL = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")
MOST_FILES = 10_000


def is_remote(given: object) -> bool:
    """Say whether a text is a URL that is read, rather than the path of a file."""
    if not isinstance(given, str):
        return False
    scheme, separator, _ = given.partition("://")
    return bool(separator) and scheme.lower() in SCHEMES


def each_of(url: str, field: str) -> list[str]:
    """Return the URLs that `…-{000..011}.tar` stands for, in order; of one without braces, itself.

    Raises InvalidRequest where these are none, or too many.
    """
    match = SEVERAL.search(url)
    if match is None:
        return [url]
    first, last = int(match[1]), int(match[2])
    if not 0 <= last - first < MOST_FILES or SEVERAL.search(url, match.end()):
        raise InvalidRequest(
            f"{field}: {match[0]} in {shown(url)} is to count up, stand once, and name at most {MOST_FILES:,} files",
            pointer=f"#/{field}",
        )
    before, after = url[: match.start()], url[match.end() :]
    return [f"{before}{number:0{len(match[1])}}{after}" for number in range(first, last + 1)]


def check_plain(url: str, field: str) -> None:
    """Raise InvalidRequest for what is no URL, has a password, no host, or `..` in its path."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # reads it
    except ValueError as error:
        raise InvalidRequest(f"{field}: this is no URL: {error}", pointer=f"#/{field}") from error
    if parts.username is not None or parts.password is not None:
        fault = "holds a name or a password, which would stand in logs: take it out"
    elif not parts.hostname:
        fault = "names no host"
    elif ".." in unquote(parts.path).replace("\\", "/").split("/"):
        fault = "has `..` in its path: write the path that is meant"
    else:
        return
    raise InvalidRequest(f"{field}: {shown(url)} {fault}", pointer=f"#/{field}")


def shown(url: str) -> str:
    """Return a URL as it may be told: without passwords, and without a query, which may sign it."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def file_name(url: str) -> str:
    """Return the last name in the path of a URL, with plain signs alone."""
    last = PurePosixPath(unquote(urlsplit(url).path)).name
    return re.sub(r"[^\w.-]", "_", last).lstrip(".")[-200:] or "data"
