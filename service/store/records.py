"""All records: importing this fills the metadata."""

from service.store.base import Base
from service.store.candidates.records import CandidateRecord
from service.store.datasets.records import DatasetRecord
from service.store.events.records import EventRecord
from service.store.idempotency.records import IdempotencyRecord
from service.store.jobs.records import JobRecord
from service.store.keys.records import KeyRecord
from service.store.models.records import ModelRecord

__all__ = [
    "Base",
    "CandidateRecord",
    "DatasetRecord",
    "EventRecord",
    "IdempotencyRecord",
    "JobRecord",
    "KeyRecord",
    "ModelRecord",
]
