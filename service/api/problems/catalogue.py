"""What each problem code means, and what to do about it: the text of `/problems/{code}`."""

from __future__ import annotations

from service.errors import CATALOGUE

EXPLANATIONS: dict[str, str] = {
    "invalid-request": "A field of the request is missing, unknown or out of range. `errors` names"
    " each one. Correct them and send the request again.",
    "model-invalid": "The uploaded file is not a sound ONNX model.",
    "unsupported-operator": "The model has a node that cannot be executed; `node` names it."
    " Quantized graphs: upload the float model.",
    "model-too-large": "The model is over a limit of bytes, nodes or elements.",
    "dataset-mismatch": "The data set does not fit the model; `errors` names the array, column or"
    " row.",
    "target-infeasible": "No cut of this model can meet the target. Loosen it.",
    "digest-mismatch": "The bytes that arrived are not those that the digest header announced."
    " Nothing was stored; upload again.",
    "idempotency-key-reused": "The Idempotency-Key was used before, with another request. Use a new"
    " key for a new request.",
    "idempotency-in-progress": "A request with the same Idempotency-Key is being worked on. Send it"
    " again after a moment.",
    "not-found": "There is no such resource.",
    "job-terminal": "The job has ended; its state does not change any more.",
    "result-not-ready": "The job has not produced what was asked for yet. Ask again after"
    " Retry-After, or wait for the job to end.",
    "request-too-large": "The body is over the limit of the server.",
    "method-not-allowed": "The resource does not take this method; the Allow header lists those"
    " that it takes.",
    "unsupported-media-type": "The Content-Type is not one that this resource reads.",
    "range-not-satisfiable": "The Range lies outside the file; Content-Range says how long it is.",
    "unavailable": "A part that the service needs does not answer. Try again later.",
    "quota-exceeded": "Too many requests, jobs or bytes. Try again after Retry-After.",
    "queue-full": "Too many jobs wait already. Try again after Retry-After.",
    "unauthenticated": "The request carries no valid key. Send `Authorization: Bearer sk_…`;"
    " `eigenpress keys create` makes a key on the machine of the service.",
    "forbidden": "The key lacks the scope that this needs; `detail` names it.",
    "client-outdated": "The client is too old for this server. Update it.",
    "out-of-memory": "The job needed more memory than it may use. Use a smaller batch or a larger"
    " worker.",
    "timeout": "The job ran longer than its limit, in all its attempts together.",
    "too-much-disk": "The job wrote more to disk than it may, temporary files included. Use less data, or raise"
    " EIGENPRESS_MAX_JOB_DISK_BYTES.",
    "limit-reached": "The job had more files open or more processes than it may have; `detail` says how many.",
    "diverged": "Training left the finite numbers, also at a lower learning rate.",
    "numeric-mismatch": "The cut model and the masked model disagree by more than the tolerance;"
    " no result is handed out.",
    "worker-lost": "The worker was lost more often than a job may be attempted.",
    "internal": "Something went wrong that is no fault of the request. Quote the request id when"
    " you report it.",
}


def known_codes() -> list[str]:
    """Return every code that a problem may carry."""
    return sorted(CATALOGUE)


def status_and_title(code: str) -> tuple[int, str]:
    """Return the HTTP status and the title of a code; unknown codes count as internal."""
    return CATALOGUE.get(code) or CATALOGUE["internal"]


def explanation(code: str) -> str:
    """Return what the code means, in a sentence or two."""
    return EXPLANATIONS.get(code, "")
