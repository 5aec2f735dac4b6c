"""A limit for bodies that are read whole; uploads are streamed and have their own."""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import RequestTooLarge


class BodyLimit:
    """Pure ASGI middleware that refuses a body over `max_bytes`, but not on `streamed` paths."""

    def __init__(self, app: ASGIApp, max_bytes: int, streamed: Collection[str]) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.streamed = frozenset(streamed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"] in self.streamed:
            await self.app(scope, receive, send)
            return
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.max_bytes:
                raise RequestTooLarge(f"The body is longer than {self.max_bytes} bytes.")
            return message

        await self.app(scope, limited, send)
