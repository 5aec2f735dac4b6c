"""Memory that is free inside the process, given back to the machine.

The allocator keeps what is freed for later, in pieces that later tensors of other sizes may not fit into. After a phase
that held a model's copies of its own, so much may be kept as the next phase needs once more.
"""

from __future__ import annotations

import ctypes
import gc

WORTH_IT = 2**25  # bytes of a model; below, looking for what is free takes longer than it saves


def give_back(held_bytes: int) -> None:
    """Give back what is free after so many bytes were let go; nothing where they are few, or no system call does it."""
    if held_bytes < WORTH_IT:
        return
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
