"""The names of what ranks nodes; `spectral/scores` holds one file for each."""

from __future__ import annotations

from typing import Annotated, Any

from spectral_engine.records.names import Registered
from spectral_engine.records.registry import Registry

# Of Score in spectral/score.py, which needs torch: names are checked without it.
SCORES: Registry[Any] = Registry("spectral_engine.spectral.scores", "score")
ScoreName = Annotated[str, Registered(SCORES)]
