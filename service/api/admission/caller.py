"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass

from service.errors import Forbidden
from service.store.keys.scopes import SCOPES
from service.store.tenancy import DEFAULT_TENANT


@dataclass(frozen=True)
class Caller:
    """A tenant, what it may do here, and the public prefix of its key."""

    tenant: str
    scopes: frozenset[str]
    key: str | None = None

    def require(self, scope: str | None) -> None:
        """Raise Forbidden, naming the scope, where the caller's key has not got it."""
        if scope is not None and scope not in self.scopes:
            raise Forbidden(
                f"This needs a key with the scope {scope}.",
                headers={
                    "WWW-Authenticate": f'Bearer realm="eigenpress", error="insufficient_scope", scope="{scope}"'
                },
            )


# Who reaches a service that listens on loopback alone could read its files as well.
ON_THIS_MACHINE = Caller(DEFAULT_TENANT, frozenset(SCOPES))
