"""Files in a bucket by `s3://`: credentials, region and endpoint are those of the `AWS_…` variables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from spectral_engine.remote.answer import CHUNK_BYTES, Answer, Unavailable


class S3File:
    """One object of a bucket."""

    def __init__(self, url: str) -> None:
        self._store, self._key = _opened(url)

    def open(self, start: int, tag: str | None) -> Answer:
        """Ask for the bytes from `start` on, if the object still has this tag; else for all."""
        import obstore
        from obstore.exceptions import PreconditionError

        try:
            size = obstore.head(self._store, self._key)["size"]
            if not start or tag is None or start >= size:
                return _answer(obstore.get(self._store, self._key), 0)
            options: Any = {"if_match": tag, "range": {"offset": start}}
            try:
                return _answer(obstore.get(self._store, self._key, options=options), start)
            except PreconditionError:  # it was written again since
                return _answer(obstore.get(self._store, self._key), 0)
        except Exception as error:
            raise _unavailable(error) from error


def keys_below(url: str) -> Iterator[tuple[str, int]]:
    """Yield the names of all objects below `s3://bucket/folder/`, with `/` between folders, and their sizes.

    Raises Unavailable.
    """
    import obstore

    store, folder = _opened(url)
    try:
        for several in obstore.list(store, prefix=folder or None):
            for one in several:
                yield one["path"].removeprefix(folder).lstrip("/"), one["size"]
    except Exception as error:
        raise _unavailable(error) from error


def _opened(url: str) -> tuple[Any, str]:
    """Return a bucket, and what lies behind it in the URL."""
    from obstore.store import S3Store

    parts = urlsplit(url)
    return S3Store(parts.netloc), unquote(parts.path).lstrip("/")


def _answer(result: Any, start: int) -> Answer:
    meta = result.meta
    return Answer(start, meta["size"], meta["e_tag"], _chunks(result))


def _chunks(result: Any) -> Iterator[bytes]:
    try:
        for chunk in result.stream(min_chunk_size=CHUNK_BYTES):
            yield bytes(chunk)
    except Exception as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> Unavailable:
    """Return why an object cannot be had: obstore has tried again by itself where that may help."""
    from obstore.exceptions import GenericError

    if isinstance(error, FileNotFoundError):
        return Unavailable("does not exist", passing=False)
    words = " ".join(str(error).split("\n\n")[0].split())[:300]
    return Unavailable(f"cannot be read: {words}", passing=isinstance(error, GenericError))
