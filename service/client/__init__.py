"""The Python client of the service.

    from service.client import Client

    with Client("http://127.0.0.1:8000") as client:
        model = client.models.create("model.onnx")
        data = client.datasets.create("data.npz")
        job = client.jobs.create(
            model=model.id, dataset=data.id, recipe={"target": {"max_metric_drop": 0.01}}
        )
        job.wait()
        job.download_model("small.onnx")

Errors:

    ClientError
    ├── ApiError          the server answered with a problem; `.problem` carries it
    ├── JobFailed         the job or analysis failed; `.problem` says why
    ├── ConnectionFailed  the server could not be reached
    └── DigestError       what arrived is not what the server announced
"""

from service.client.analyses import Analysis
from service.client.client import Client
from service.client.errors import (
    ApiError,
    ClientError,
    ConnectionFailed,
    DigestError,
    JobFailed,
)
from service.client.jobs import Job

__all__ = [
    "Analysis",
    "ApiError",
    "Client",
    "ClientError",
    "ConnectionFailed",
    "DigestError",
    "Job",
    "JobFailed",
]
