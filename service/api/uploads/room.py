"""How many bytes an upload may bring: no more than one may have, nor than its tenant may still store."""

from __future__ import annotations

from service.api.uploads.multipart import FILE_FIELD
from service.errors import QuotaExceeded, RequestTooLarge


class Room:
    """What is left of an upload's bytes."""

    def __init__(
        self, max_bytes: int, free_bytes: int | None = None, no_room: QuotaExceeded | None = None
    ) -> None:
        self._max_bytes, self._free_bytes, self._no_room = max_bytes, free_bytes, no_room
        self._taken = 0

    def take(self, count: int) -> None:
        """Count bytes that came. Raises RequestTooLarge or QuotaExceeded."""
        self._taken += count
        self.require(self._taken)

    def require(self, size_bytes: int) -> None:
        """Raise RequestTooLarge or QuotaExceeded where an upload of this size is more than it may be."""
        if size_bytes > self._max_bytes:
            raise too_large(self._max_bytes)
        if self._free_bytes is not None and size_bytes > self._free_bytes and self._no_room:
            raise self._no_room


def too_large(max_bytes: int) -> RequestTooLarge:
    """Return the error of a file over the limit."""
    detail = f"The file is longer than {max_bytes} bytes."
    item = {"detail": detail, "pointer": f"#/{FILE_FIELD}", "location": "body"}
    return RequestTooLarge(detail, errors=[item])
