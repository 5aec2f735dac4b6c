"""Where a candidate comes from, written into its own file."""

from __future__ import annotations

import spectral_engine
from spectral_engine.preparation.prepare import PreparedJob


def provenance_of(job: PreparedJob) -> dict[str, str]:
    """Return what is written into a candidate's own metadata: enough to find its report again."""
    return {
        "eigenpress.version": spectral_engine.__version__,
        "eigenpress.method": job.recipe.method,
        "eigenpress.seed": str(job.recipe.seed),
        "eigenpress.source_sha256": job.model_sha256,
        "eigenpress.dataset_sha256": job.splits.summary.sha256,
    }
