"""What people call the parts of a data set, and the column that says the part of each row."""

PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "holdout": "test",
}
PART_HEADERS = (
    "split",
    "part",
    "subset",
    "set",
    "partition",
)  # of a column that says the part of each row
