"""What a caller may upload."""

from __future__ import annotations

from service.api.context import Context
from service.api.uploads.room import Room


def room_of(context: Context) -> Room:
    """Return the room for one more upload of the caller's."""
    with context.database.read() as session:
        free_bytes = context.quotas.free_bytes(session)
    return Room(context.settings.max_upload_bytes, free_bytes, context.quotas.no_room())
