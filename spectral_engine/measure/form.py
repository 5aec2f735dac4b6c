"""How a model scales its scores."""

from typing import Literal

Form = Literal["logits", "probabilities", "log_probabilities", "values"]
