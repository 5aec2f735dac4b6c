"""Multiply-adds and parameters of a narrowed model, counted fast enough for a search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from spectral_engine.graph.ids import GroupIds


class ProductSum:
    """Σ over terms of factor × Π over id arrays of the number of ids that stay.

    A transfer's multiply-adds and an initializer's elements are such terms.
    """

    def __init__(self, terms: Iterable[tuple[int, Sequence[GroupIds]]]) -> None:
        self.constant = 0
        factors: list[int] = []
        firsts: list[int] = []  # of each term, in `arrays`
        arrays: list[GroupIds] = []
        for factor, ids in terms:
            if not ids:
                self.constant += factor
                continue
            factors.append(factor)
            firsts.append(len(arrays))
            arrays.extend(ids)
        self.factors = np.array(factors, dtype=np.int64)
        self.firsts = np.array(firsts, dtype=np.int64)
        self.flat = np.concatenate([*arrays, np.empty(0, dtype=np.int64)])
        self.ends = np.cumsum([0, *(len(ids) for ids in arrays)])

    def count(self, removed: NDArray[np.bool_] | None) -> int:
        """Return the sum once these groups are gone."""
        if not len(self.factors):
            return self.constant
        stays = np.ones(len(self.flat), bool) if removed is None else ~removed[self.flat]
        running = np.concatenate([[0], np.cumsum(stays)])
        lengths = np.diff(running[self.ends])  # [arrays]
        products = np.multiply.reduceat(lengths, self.firsts)  # [terms]
        return self.constant + int((self.factors * products).sum())
