"""The order in which one pass over the training rows sees them.

What fits the cache of the system is drawn row by row. Of more, each row would be a read of its own from disk: there,
blocks of neighbours are drawn, and the rows of so many blocks mixed as the cache holds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.row_source import bytes_of
from spectral_engine.data.split import Split

Rows = NDArray[np.int64]
BLOCK_BYTES = 2**20
MIXED_BLOCKS = 256


def shuffled(split: Split, random: np.random.Generator) -> Rows:
    """Return the numbers of all rows of a split in random order; neighbours of one on disk stay near each other."""
    if not split.is_read_in_blocks:
        return random.permutation(split.rows)
    row_bytes = sum(map(bytes_of, split.inputs.values())) // split.rows
    return shuffled_blocks(split.rows, max(1, BLOCK_BYTES // row_bytes), MIXED_BLOCKS, random)


def shuffled_blocks(rows: int, in_block: int, mixed: int, random: np.random.Generator) -> Rows:
    """Return the numbers of `rows` rows: blocks of `in_block` neighbours in random order, the rows of `mixed` shuffled.

    A row may stand beside one of any other block, and is not further from its neighbours than `mixed` blocks.
    """
    blocks = random.permutation(-(-rows // in_block))
    drawn = [
        _rows_of(blocks[at : at + mixed], in_block, rows) for at in range(0, len(blocks), mixed)
    ]
    return np.concatenate([random.permutation(part) for part in drawn])


def _rows_of(blocks: Rows, in_block: int, rows: int) -> Rows:
    numbers = (blocks[:, None] * in_block + np.arange(in_block)).reshape(-1)
    return numbers[numbers < rows]
