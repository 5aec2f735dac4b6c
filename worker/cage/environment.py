"""The environment of the engine's process: what a job needs, and no address, password or key of the service."""

from __future__ import annotations

from collections.abc import Mapping

NEEDED = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT",
     "VIRTUAL_ENV", "LD_LIBRARY_PATH", "EIGENPRESS_MAX_DATASET_BYTES"}
)  # fmt: skip
# Of Python, of the libraries that compute, and of the system's drivers.
FAMILIES = (
    "LC_", "PYTHON", "OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "MALLOC_", "CUDA_", "CUBLAS_", "CUDNN_", "NVIDIA_",
    "TORCH_", "PYTORCH_", "ORT_", "ARROW_", "COVERAGE_",
)  # fmt: skip


def needed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the engine may know."""
    return {
        name: value
        for name, value in environment.items()
        if name in NEEDED or name.startswith(FAMILIES)
    }
