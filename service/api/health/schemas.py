"""Health as it is shown."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.api.schemas import Resource


class Health(Resource):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Check(Resource):
    """One part that the service needs."""

    ok: bool
    detail: str | None = None


class Workers(Resource):
    """Who would run a job."""

    alive: int | None = Field(description="workers that answered; null where none can be asked")
    any_alive: bool


ReadinessStatus = Literal["ready", "degraded", "unavailable"]


class Readiness(Resource):
    """`degraded`: requests are taken, but jobs may wait for the queue or for a worker."""

    status: ReadinessStatus
    checks: dict[str, Check]
    workers: Workers
