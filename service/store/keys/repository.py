"""All SQL on keys."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from service.errors import NotFound
from service.store.base import now
from service.store.keys.records import KeyRecord
from service.store.keys.scopes import TENANT_SCOPES, require_scopes
from service.store.keys.secret import KeyText, new_key
from service.store.tenancy import DEFAULT_TENANT, require_tenant

USE_NOTED_EVERY = timedelta(minutes=1)


class KeyRepository:
    """Keys, found by their public prefix."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def create(
        self,
        *,
        tenant: str = DEFAULT_TENANT,
        name: str | None = None,
        scopes: Sequence[str] = TENANT_SCOPES,
        lifetime: timedelta | None = None,
    ) -> tuple[KeyRecord, KeyText]:
        """Make a key; its text is told here and never again.

        Raises ValueError for what is no scope or no name of a tenant.
        """
        key, moment = new_key(), now()
        record = KeyRecord(
            prefix=key.prefix,
            sha256=key.sha256,
            tenant=require_tenant(tenant),
            name=name,
            scopes=require_scopes(scopes),
            created_at=moment,
            expires_at=None if lifetime is None else moment + lifetime,
        )
        self.session.add(record)
        self.session.flush()
        return record, key

    def get(self, prefix: str) -> KeyRecord:
        """Return a key. Raises NotFound."""
        record = self.session.get(KeyRecord, prefix)
        if record is None:
            raise NotFound(f"There is no key {prefix!r}.")
        return record

    def get_many(self, prefixes: Collection[str]) -> Sequence[KeyRecord]:
        """Return those of the keys that exist."""
        return self.session.scalars(select(KeyRecord).where(KeyRecord.prefix.in_(prefixes))).all()

    def list(self, tenant: str | None = None) -> Sequence[KeyRecord]:
        """Return all keys, or those of a tenant, the oldest first."""
        query = select(KeyRecord).order_by(KeyRecord.created_at, KeyRecord.prefix)
        if tenant is not None:
            query = query.where(KeyRecord.tenant == tenant)
        return self.session.scalars(query).all()

    def rotate(self, prefix: str, overlap: timedelta) -> tuple[KeyRecord, KeyText]:
        """Make a key like this one, as long-lived; this one is good for `overlap` more, at most.

        Raises NotFound, and ValueError for a key that is good for nothing any more.
        """
        old = self.get(prefix)
        if old.status != "active":
            raise ValueError(f"{prefix} is {old.status}: create a new key")
        lifetime = None if old.expires_at is None else old.expires_at - old.created_at
        made = self.create(tenant=old.tenant, name=old.name, scopes=old.scopes, lifetime=lifetime)
        until = now() + overlap
        old.expires_at = until if old.expires_at is None else min(old.expires_at, until)
        self.session.flush()
        return made

    def revoke(self, prefix: str) -> KeyRecord:
        """End a key at once. Idempotent. Raises NotFound."""
        record = self.get(prefix)
        record.revoked_at = record.revoked_at or now()
        self.session.flush()
        return record

    def note_use(self, prefix: str) -> bool:
        """Note that a key is in use, unless that was noted within the minute; say whether it was written."""
        moment = now()
        stale = or_(
            KeyRecord.last_used_at.is_(None), KeyRecord.last_used_at < moment - USE_NOTED_EVERY
        )
        noted: Any = self.session.execute(
            update(KeyRecord)
            .where(KeyRecord.prefix == prefix, stale)
            .values(last_used_at=moment)
            .execution_options(synchronize_session=False)
        )
        return bool(noted.rowcount)
