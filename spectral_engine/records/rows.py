"""What a user may say of the rows, in the recipe, beside a data set, or on the command line.

Imports no numpy, so that the API can validate it.
"""

from __future__ import annotations

from typing import Literal

SplitName = Literal["train", "val", "test"]
SeenByOriginal = bool | list[SplitName]
