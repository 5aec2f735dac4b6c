"""From an Authorization header to a caller."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from functools import partial

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from service.api.admission.caller import Caller
from service.api.batch_reader import BatchReader
from service.errors import Unauthenticated
from service.store.database import Database
from service.store.keys.records import KeyRecord
from service.store.keys.repository import USE_NOTED_EVERY, KeyRepository
from service.store.keys.secret import KeyText, read_key

log = logging.getLogger("eigenpress.api")
CHALLENGE = 'Bearer realm="eigenpress"'
HOW = "Send `Authorization: Bearer sk_…`; `eigenpress keys create` makes a key where the service runs."


class Authenticator:
    """Finds the caller whose key a request carries; a key that is revoked is so at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._records = BatchReader(partial(_read_many, database))
        self._noted: dict[str, float] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def caller(self, authorization: str) -> Caller:
        """Return the caller. Raises Unauthenticated."""
        scheme, _, token = authorization.partition(" ")
        key = read_key(token.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise refused(f"The credentials are not a key. {HOW}", "invalid_token")
        record = await self._records.read(key.prefix)
        # What is wrong with a key is told to who has it, and to nobody else.
        if not key.matches(record.sha256 if record else None) or record is None:
            raise refused(f"There is no such key. {HOW}", "invalid_token")
        if record.status != "active":
            raise refused(f"The key {key.prefix} is {record.status}. {HOW}", "invalid_token")
        self._note_use(key)
        return Caller(record.tenant, frozenset(record.scopes), key.prefix)

    def _note_use(self, key: KeyText) -> None:
        """Write when a key was used, at most once a minute and without keeping the request waiting."""
        moment = time.monotonic()
        noted = self._noted.get(key.prefix)
        if noted is not None and moment - noted < USE_NOTED_EVERY.total_seconds():
            return
        self._noted[key.prefix] = moment
        task = asyncio.create_task(run_in_threadpool(_note_use, self._database, key.prefix))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)


def refused(detail: str, error: str | None = None) -> Unauthenticated:
    """Return the error of a request without valid credentials, with RFC 6750's challenge."""
    challenge = CHALLENGE if error is None else f'{CHALLENGE}, error="{error}"'
    return Unauthenticated(detail, headers={"WWW-Authenticate": challenge})


def _read_many(database: Database, prefixes: Collection[str]) -> Mapping[str, KeyRecord]:
    with database.read() as session:
        return {record.prefix: record for record in KeyRepository(session).get_many(prefixes)}


def _note_use(database: Database, prefix: str) -> None:
    try:
        with database.begin() as session:
            KeyRepository(session).note_use(prefix)
    except SQLAlchemyError as error:
        log.warning("could not note the use of the key %s: %s", prefix, error)
