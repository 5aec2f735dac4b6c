"""What the nodes that stay take over from those that go: their means, or all that least squares can tell."""

from spectral_engine.compensation.damage import Probe
from spectral_engine.compensation.least_squares import solve_readers
from spectral_engine.compensation.means import CALIBRATION_ROWS, fold_means

__all__ = ["CALIBRATION_ROWS", "Probe", "fold_means", "solve_readers"]
