"""Nothing but health and explanations is reached without passing here."""

from __future__ import annotations

from sqlalchemy.exc import OperationalError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.admission.authenticator import HOW, Authenticator, refused
from service.api.admission.caller import ON_THIS_MACHINE, Caller
from service.api.admission.paths import is_open, scope_of
from service.api.admission.rates import RateLimits
from service.api.problems.handlers import on_database_error, on_service_error
from service.errors import ServiceError
from service.loopback import is_public
from service.settings import Settings


class Admission:
    """Pure ASGI middleware: puts the caller into the request's state, or answers 401, 403 or 429.

    It stands before routing and before the body is read, so that a stranger costs no more than a header.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, authenticator: Authenticator, rates: RateLimits
    ) -> None:
        self.app = app
        self._opens_to_this_machine = settings.opens_to_this_machine
        self._authenticator, self._rates = authenticator, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        told: dict[str, str] = {}
        refusal = await self._refusal(scope, told)
        await (refusal or self.app)(scope, receive, _telling(send, told))

    async def _refusal(self, scope: Scope, told: dict[str, str]) -> Response | None:
        """Return the answer to a request that is not let in; fill in what is told to others of their limit."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if is_open(path):
            return None
        try:
            caller = await self._caller(scope)
            caller.require(scope_of(scope["method"], path))
            if caller.key is not None:
                told.update(await self._rates.admit(caller.tenant))
        except ServiceError as error:
            return await on_service_error(Request(scope), error)
        except OperationalError as error:
            return await on_database_error(Request(scope), error)
        scope["state"]["caller"] = caller
        return None

    async def _caller(self, scope: Scope) -> Caller:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) == 1:
            return await self._authenticator.caller(given[0].decode("latin-1"))
        if not given and self._opens_to_this_machine and not _came_from_outside(scope):
            return ON_THIS_MACHINE
        raise refused(f"This needs a key, and the request carries none. {HOW}")


def _telling(send: Send, headers: dict[str, str]) -> Send:
    """Return a `send` that adds headers to the answer, but none that it has: a quota is closer than the rate."""
    added = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            has = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(one for one in added if one[0] not in has)]
        await send(message)

    return telling if added else send


def _came_from_outside(scope: Scope) -> bool:
    # The address on which it arrived, where the server knows: no header can change that.
    server: tuple[str, int | None] | None = scope.get("server")
    return server is not None and is_public(server[0])
