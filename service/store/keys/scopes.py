"""What a key may be good for: a resource, and whether it may be read or changed."""

from __future__ import annotations

from collections.abc import Iterable

RESOURCES = ("models", "datasets", "analyses", "jobs")
TENANT_SCOPES = tuple(
    f"{resource}:{right}" for resource in RESOURCES for right in ("read", "write")
)
# Numbers of all tenants together: given by name alone.
METRICS = "metrics:read"
SCOPES = (*TENANT_SCOPES, METRICS)


def require_scopes(names: Iterable[str]) -> list[str]:
    """Return the scopes in one order, each once. Raises ValueError that names an unknown one."""
    asked = set(names)
    unknown = sorted(asked.difference(SCOPES))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no scope; there are {', '.join(SCOPES)}")
    return [scope for scope in SCOPES if scope in asked]
