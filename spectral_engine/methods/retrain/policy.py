"""What `retrain` decides: nothing goes; the run has one candidate, at its end.

What trains is the recipe's `spectral.train`: eigenvalues alone, with the singular values or the triangular factor of
the eigenvectors, or all (Giambagli et al. 2021; Chicchi et al. 2021).
"""

from __future__ import annotations

from spectral_engine.methods.policy import Policy


class Retraining(Policy):
    """Trains, and removes nothing: what every policy does that says nothing else."""
