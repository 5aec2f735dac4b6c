"""Ids of nodes before the coupling is closed, and numbers of node groups after it: two types, never one for the other.

While the rules of the operators run, every index of every axis that could be narrowed has a node id. Closing the
coupling joins ids into groups and numbers these from 0; `group_of[node id]` is the only way from one to the other.
"""

from __future__ import annotations

from typing import NewType, TypeVar

import numpy as np
from numpy.typing import NDArray

NodeIds = NewType("NodeIds", NDArray[np.int64])
GroupIds = NewType("GroupIds", NDArray[np.int64])
AnyIds = TypeVar("AnyIds", NodeIds, GroupIds)

# One entry per axis of a value: the ids along it, or None where the axis holds no nodes (batch, space).
NodeAxes = tuple[NodeIds | None, ...]
GroupAxes = tuple[GroupIds | None, ...]
