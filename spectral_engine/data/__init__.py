"""Data sets: untrusted files in, checked splits out."""

from spectral_engine.data.loading import load_splits
from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.spec import InputSpec
from spectral_engine.data.split import Claim, Split, Splits

__all__ = ["Claim", "InputSpec", "Preprocessing", "Split", "Splits", "load_splits"]
