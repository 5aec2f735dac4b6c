"""The images, their boxes and the short job on which small detectors are tried."""

from tests.support.task_nets import squares

QUICK = {
    "training": {"epochs": 8, "batch_size": 64},
    "prune": {"candidates": 1},
    "target": {"max_macs": 0.6},
}
X, BOXES = squares(360, 2)
PARTS = {"train": slice(0, 220), "val": slice(220, 290), "test": slice(290, 360)}
