"""What the OpenAPI document says of keys: drawn from the rules by which requests are let in."""

from __future__ import annotations

from typing import Any

from service.api.admission.paths import is_open, scope_of
from service.api.operations import problems
from service.settings import Settings

SCHEME = "apiKey"
DESCRIPTION = (
    "a key that `eigenpress keys create` made; not needed where the service listens on loopback and does not require"
    " keys, and then a request without one acts as the tenant `default`"
)


def describe_admission(document: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the document with the scope, and the refusals, of every operation."""
    document["components"]["securitySchemes"] = {
        SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "sk_<prefix>_<secret><checksum>",
            "description": DESCRIPTION,
        }
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["security"] = _security(method.upper(), path, settings)
            if not is_open(path):
                _add_refusals(operation["responses"])
    return document


def _security(method: str, path: str, settings: Settings) -> list[dict[str, list[str]]]:
    if is_open(path):
        return []
    scope = scope_of(method, path)
    # OpenAPI 3.1 lets the roles that a request needs stand beside any scheme.
    asked: list[dict[str, list[str]]] = [{SCHEME: [] if scope is None else [scope]}]
    return [*asked, {}] if settings.opens_to_this_machine else asked


def _add_refusals(responses: dict[str, Any]) -> None:
    refusals = problems("unauthenticated", "forbidden", "quota-exceeded")
    refusals[401]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    names = ("Retry-After", "RateLimit", "RateLimit-Policy")
    refusals[429]["headers"] = {name: {"schema": {"type": "string"}} for name in names}
    responses.update({str(status): answer for status, answer in refusals.items()})
