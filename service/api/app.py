"""The API as one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI

from service.api import document, operations
from service.api.admission.authenticator import Authenticator
from service.api.admission.middleware import Admission
from service.api.admission.rates import RateLimits
from service.api.analyses.endpoints import router as analyses
from service.api.application import Application
from service.api.batch_reader import BatchReader
from service.api.body_limit import BodyLimit
from service.api.candidates.endpoints import router as candidates
from service.api.datasets.endpoints import router as datasets
from service.api.events.endpoints import router as events
from service.api.health.endpoints import router as health
from service.api.health.service import count_jobs
from service.api.job_reader import read_many
from service.api.jobs.endpoints import router as jobs
from service.api.middleware import RequestContext
from service.api.models.endpoints import router as models
from service.api.problem_pages import router as problem_pages
from service.api.problems import handlers
from service.api.reports.endpoints import router as reports
from service.job_notifier import JobNotifier
from service.settings import Settings
from service.store.artifacts.blobs import ArtifactStore
from service.store.database import Database

DESCRIPTION = "ONNX in, narrower ONNX out: upload a model and data, submit a job, download both."
MAX_BODY_BYTES = 1 << 20
ROUTERS = (models, datasets, analyses, jobs, events, candidates, reports, health, problem_pages)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the API for `settings`, or for those of the environment."""
    application = make_application(settings or Settings())
    app = FastAPI(
        title="Eigenpress",
        version=version("eigenpress"),
        description=DESCRIPTION,
        lifespan=_lifespan,
        generate_unique_id_function=operations.operation_id,
        redirect_slashes=False,
        redoc_url=None,
    )
    app.state.application = application
    app.add_middleware(
        BodyLimit, max_bytes=MAX_BODY_BYTES, streamed=(models.prefix, datasets.prefix)
    )
    app.add_middleware(
        Admission,
        settings=application.settings,
        authenticator=Authenticator(application.database),
        rates=RateLimits(
            application.settings.max_requests_per_minute, application.settings.broker_url
        ),
    )
    app.add_middleware(RequestContext, metrics=application.metrics)
    handlers.install(app)
    for router in ROUTERS:
        app.include_router(router)
    document.install(app)
    return app


def make_application(settings: Settings) -> Application:
    """Return the parts of an API."""
    database = Database(settings.database_url)
    application = Application(
        settings=settings,
        database=database,
        job_reader=BatchReader(partial(read_many, database)),
        artifacts=ArtifactStore(settings.artifacts_url),
        notifier=JobNotifier(settings.broker_url, settings.broker_url_file),
    )
    application.metrics.watch_jobs(lambda: count_jobs(application))
    return application


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.application.closing = True
    app.state.application.database.close()
