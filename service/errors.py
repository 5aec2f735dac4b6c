"""Errors of the service, and the catalogue of all codes that an error may carry.

ServiceError
├── InvalidRequest        invalid-request          a field is missing, unknown or out of range
├── Unauthenticated       unauthenticated          no key, or none that is valid
├── Forbidden             forbidden                the key lacks a scope
├── QuotaExceeded         quota-exceeded           too many requests, jobs or bytes of a tenant
├── NotFound              not-found                no such resource
├── JobTerminal           job-terminal             the job has ended
├── ResultNotReady        result-not-ready         the job has no result yet
├── DigestMismatch        digest-mismatch          other bytes than announced
├── IdempotencyKeyReused  idempotency-key-reused   the key came with another request before
├── RequestTooLarge       request-too-large        over the limit of the server
├── UnsupportedMediaType  unsupported-media-type   a Content-Type that is not read
└── RangeNotSatisfiable   range-not-satisfiable    a range outside of the file
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

CATALOGUE: dict[str, tuple[int, str]] = {
    "invalid-request": (422, "Invalid request"),
    "model-invalid": (422, "Invalid model"),
    "unsupported-operator": (422, "Unsupported operator"),
    "model-too-large": (413, "Model too large"),
    "dataset-mismatch": (422, "Data set does not fit the model"),
    "target-infeasible": (422, "Target cannot be met"),
    "digest-mismatch": (400, "Digest mismatch"),
    "idempotency-key-reused": (422, "Idempotency key reused"),
    "idempotency-in-progress": (409, "Request in progress"),
    "not-found": (404, "Not found"),
    "job-terminal": (409, "Job has ended"),
    "result-not-ready": (409, "Result not ready"),
    "request-too-large": (413, "Request too large"),
    "method-not-allowed": (405, "Method not allowed"),
    "unsupported-media-type": (415, "Unsupported media type"),
    "range-not-satisfiable": (416, "Range not satisfiable"),
    "unavailable": (503, "Unavailable"),
    "quota-exceeded": (429, "Quota exceeded"),
    "queue-full": (503, "Queue full"),
    "unauthenticated": (401, "Unauthenticated"),
    "forbidden": (403, "Forbidden"),
    "client-outdated": (426, "Client outdated"),
    "out-of-memory": (500, "Out of memory"),
    "timeout": (500, "Time limit reached"),
    "too-much-disk": (500, "Disk limit reached"),
    "limit-reached": (500, "Limit reached"),
    "diverged": (500, "Training diverged"),
    "numeric-mismatch": (500, "Numeric mismatch"),
    "worker-lost": (500, "Worker lost"),
    "internal": (500, "Internal error"),
}


class ServiceError(Exception):
    """Base of all errors that the service raises on purpose.

    `errors` holds RFC 9457 items {detail, pointer}; `headers` go with an HTTP answer, `extensions`
    are further members of the problem.
    """

    code = "internal"
    retryable = False

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        retryable: bool | None = None,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = [dict(error) for error in errors]
        self.retryable = type(self).retryable if retryable is None else retryable
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})

    @property
    def status(self) -> int:
        """HTTP status of the code."""
        return CATALOGUE[self.code][0]

    @property
    def title(self) -> str:
        """Title of the code."""
        return CATALOGUE[self.code][1]


class InvalidRequest(ServiceError):
    """A field is missing, unknown or out of range."""

    code = "invalid-request"


class Unauthenticated(ServiceError):
    """The request carries no valid key."""

    code = "unauthenticated"


class Forbidden(ServiceError):
    """The key lacks a scope."""

    code = "forbidden"


class QuotaExceeded(ServiceError):
    """A tenant asks for more than it may have."""

    code = "quota-exceeded"
    retryable = True


class NotFound(ServiceError):
    """There is no such resource."""

    code = "not-found"


class JobTerminal(ServiceError):
    """The job has ended; its state does not change any more."""

    code = "job-terminal"


class ResultNotReady(ServiceError):
    """The job has no result yet."""

    code = "result-not-ready"
    retryable = True


class DigestMismatch(ServiceError):
    """The bytes that arrived are not those that were announced."""

    code = "digest-mismatch"


class IdempotencyKeyReused(ServiceError):
    """The idempotency key came with another request before."""

    code = "idempotency-key-reused"


class RequestTooLarge(ServiceError):
    """The body is over the limit of the server."""

    code = "request-too-large"


class UnsupportedMediaType(ServiceError):
    """The Content-Type is not one that is read."""

    code = "unsupported-media-type"


class RangeNotSatisfiable(ServiceError):
    """The range lies outside of the file."""

    code = "range-not-satisfiable"
