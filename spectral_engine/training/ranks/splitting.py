"""Which rows of a batch each rank takes, and what cannot be split."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from spectral_engine.errors import InvalidRequest
from spectral_engine.graph.operators import find_spec
from spectral_engine.spectral.model import SpectralModel

FIELD = "#/recipe/training/devices"


def split_rows(rows: int, ranks: int, at_once: int | None) -> tuple[int, ...]:
    """Return where each rank's rows begin, and the last one's end [ranks + 1]; none divides what runs at once.

    Raises InvalidRequest where a rank would get none.
    """
    each = at_once or 1
    runs = -(-rows // each)
    if runs < ranks:
        raise InvalidRequest(
            f"a batch of {rows} rows cannot be split among {ranks} devices"
            + (f": the model runs {each} rows at a time" if each > 1 else "")
            + ": ask for fewer devices or a larger batch",
            pointer=FIELD,
        )
    fewest, more = divmod(runs, ranks)
    ends = [fewest * rank + min(rank, more) for rank in range(ranks + 1)]
    return tuple(min(rows, end * each) for end in ends)


def refuse_bodies(model: SpectralModel) -> None:
    """Raise InvalidRequest where a node may decide by the whole batch what it computes."""
    for node in model.module.nodes:
        if find_spec(node).has_bodies:
            raise InvalidRequest(
                f"the model's {node.op_type} {node.name!r} may decide by all rows of a batch, which several devices "
                "do not see: ask for one device",
                pointer=FIELD,
            )


def rows_of_value(name: str, length: int, bounds: Sequence[int], rank: int) -> tuple[int, ...]:
    """Return the bounds of each rank's entries in a value of the whole batch, of which a rank has so many [ranks + 1].

    Raises InvalidRequest where the value has none for each row.
    """
    each, rest = divmod(length, bounds[rank + 1] - bounds[rank])
    if rest or not each:
        raise InvalidRequest(
            f"value {name!r} does not answer each row of a batch, so that several devices cannot compute it: ask for "
            "one device",
            pointer=FIELD,
        )
    return tuple(bound * each for bound in bounds)


def devices_from(first: torch.device, count: int) -> list[torch.device]:
    """Return the devices of all ranks: so many CUDA devices from the first on, or a CPU that all share.

    Raises InvalidRequest where there are not as many.
    """
    if first.type != "cuda":
        return [first] * count
    there, start = torch.cuda.device_count(), first.index or 0
    if start + count > there:
        raise InvalidRequest(
            f"{count} devices from cuda:{start} on are not on this machine: it has {there} CUDA devices",
            pointer=FIELD,
        )
    return [torch.device("cuda", start + rank) for rank in range(count)]
