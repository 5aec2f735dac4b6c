"""The data sets: from a folder of .npz files where there is one, otherwise from OpenML."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(os.environ.get("EIGENPRESS_BENCH_DATA", "/work/shared/data"))
VALIDATION_SHARE = 0.15
MOST_VALIDATION_ROWS = 3000
# name -> OpenML's name, version, number of test rows (the last ones)
ON_OPENML = {
    "mnist": ("mnist_784", 1, 10_000),
    "fashion_mnist": ("Fashion-MNIST", 1, 10_000),
    "letter": ("letter", 1, 4_000),
    "satellite": ("satimage", 1, 2_000),
    "adult": ("adult", 2, 16_281),
    "spam": ("spambase", 1, 921),
    "california_housing": ("california_housing", 1, 4_128),
}
IMAGES = {"mnist", "fashion_mnist"}
REGRESSION = {"california_housing"}


@dataclass(frozen=True)
class Data:
    """Three parts, inputs scaled; `test` is read once per reported row."""

    name: str
    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    outputs: int

    @property
    def regression(self) -> bool:
        return self.name in REGRESSION


def load(name: str, rows: int | None, seed: int) -> Data:
    """Return a data set; `rows` caps the training rows, `seed` draws them and the validation rows."""
    x, y, x_test, y_test = read(name)
    order = np.random.default_rng([seed, 11]).permutation(len(y))
    validation_count = min(MOST_VALIDATION_ROWS, round(VALIDATION_SHARE * len(y)))
    chosen, kept = order[validation_count:][:rows], order[:validation_count]
    scale = _scaler(name, x[chosen])
    if name in REGRESSION:
        y, y_test = y.astype(np.float32)[:, None], y_test.astype(np.float32)[:, None]
        outputs = 1
    else:
        y, y_test = y.astype(np.int64), y_test.astype(np.int64)
        outputs = int(y.max()) + 1
    parts = ((scale(x[chosen]), y[chosen]), (scale(x[kept]), y[kept]), (scale(x_test), y_test))
    return Data(name, *parts, outputs)


def _scaler(name: str, train: np.ndarray):
    """Return pixels in 0..1; columns of tables with mean 0 and deviation 1 on the training rows."""
    if name in IMAGES:
        return lambda x: (x.reshape(len(x), -1) / 255).astype(np.float32)
    mean, deviation = train.mean(0), train.std(0) + 1e-6
    return lambda x: ((x - mean) / deviation).clip(-8, 8).astype(np.float32)


def read(name: str) -> tuple[np.ndarray, ...]:
    path = FOLDER / f"{name}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as stored:
            return tuple(stored[key] for key in ("x_train", "y_train", "x_test", "y_test"))
    return _fetch(name)


def _fetch(name: str) -> tuple[np.ndarray, ...]:
    from sklearn.datasets import fetch_openml
    from sklearn.preprocessing import LabelEncoder

    title, version, test_rows = ON_OPENML[name]
    bunch = fetch_openml(title, version=version, as_frame=True, parser="auto")
    frame = bunch.data
    words = frame.select_dtypes(exclude="number").columns
    import pandas as pd

    x = pd.get_dummies(frame, columns=list(words)).astype(np.float64).fillna(0.0).to_numpy()
    y = bunch.target.to_numpy()
    y = y.astype(np.float64) if name in REGRESSION else LabelEncoder().fit_transform(y)
    cut = len(y) - test_rows
    return x[:cut], y[:cut], x[cut:], y[cut:]
