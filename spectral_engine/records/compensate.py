"""How what removed nodes told is made good."""

from typing import Literal

Compensation = Literal["none", "mean", "least_squares"]
