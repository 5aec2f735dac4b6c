"""Whose a row is: the two ways in which a record belongs to a tenant."""

from __future__ import annotations

import re

from sqlalchemy import String
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

DEFAULT_TENANT = "default"
# An execution option, for what is counted across tenants and tells nothing of any of them.
OF_ALL_TENANTS = "eigenpress_of_all_tenants"
# Part of where artifacts lie: harmless in a path, a URL and a header.
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class OfTenant:
    """A record with a tenant of its own."""

    @declared_attr
    def tenant(cls) -> Mapped[str]:  # noqa: N805  # SQLAlchemy hands the class
        """Whose it is."""
        return mapped_column(String(63), default=DEFAULT_TENANT)


class OfJob:
    """A record whose tenant is that of its job."""

    job_id: Mapped[str]


def require_tenant(name: str) -> str:
    """Return the name of a tenant. Raises ValueError that says what is one."""
    if TENANT.fullmatch(name) is None:
        raise ValueError(
            f"{name!r} is no name of a tenant: up to 63 small letters, digits and hyphens"
        )
    return name
