"""What the endpoints work with: one tenant's part of the application, made anew for every request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from service.api.admission.caller import Caller
from service.api.admission.quotas import Quotas
from service.api.application import Application, ReadJob, serving
from service.job_notifier import JobNotifier
from service.settings import Settings
from service.store.artifacts.blobs import ArtifactStore
from service.store.scope import TenantDatabase

__all__ = ["Context", "ContextDep", "ReadJob", "current"]


@dataclass(frozen=True)
class Context:
    """Records and artifacts of the caller's tenant; there is no way from here to those of another."""

    _application: Application
    caller: Caller

    @cached_property
    def database(self) -> TenantDatabase:
        """The tenant's records."""
        return TenantDatabase(self._application.database, self.caller.tenant)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """The tenant's files."""
        return self._application.artifacts.of(self.caller.tenant)

    @property
    def settings(self) -> Settings:
        """Those of the service."""
        return self._application.settings

    @property
    def quotas(self) -> Quotas:
        """What the tenant may have."""
        return Quotas(self.settings, self.caller.tenant)

    @property
    def notifier(self) -> JobNotifier:
        """Wakes workers."""
        return self._application.notifier

    async def read_job(self, job_id: str) -> ReadJob | None:
        """Return a job of the tenant; None where there is none. Read together with those that others ask for."""
        row = await self._application.job_reader.read(job_id)
        return row if row is not None and row.job.tenant == self.caller.tenant else None

    def is_closing(self) -> bool:
        """Say whether the server is stopping, so that streams and long polls must end."""
        return self._application.closing


def current(request: Request) -> Context:
    """Return what the caller of `request` works with; without one that was let in there is none."""
    caller: Caller = request.scope["state"]["caller"]
    return Context(serving(request), caller)


ContextDep = Annotated[Context, Depends(current)]
