"""What each path asks of a caller. A rule and no list, so that no endpoint can be forgotten."""

from __future__ import annotations

from service.store.keys.scopes import METRICS, RESOURCES

OPEN = frozenset({"/healthz", "/readyz"})
OPEN_BELOW = "/problems/"
READS = frozenset({"GET", "HEAD"})


def is_open(path: str) -> bool:
    """Say whether anybody may ask for this path."""
    return path in OPEN or path.startswith(OPEN_BELOW)


def scope_of(method: str, path: str) -> str | None:
    """Return the scope that a request needs; None where any key will do."""
    if path == "/metrics":
        return METRICS
    version, _, rest = path.removeprefix("/").partition("/")
    resource = rest.partition("/")[0]
    if version != "v1" or resource not in RESOURCES:
        return None
    return f"{resource}:{'read' if method in READS else 'write'}"
