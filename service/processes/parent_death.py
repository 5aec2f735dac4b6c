"""Processes that do not outlive who started them, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
# Looked up before any fork: between fork and exec only the call itself is safe.
_prctl = getattr(ctypes.CDLL(None), "prctl", None)


def die_with_parent(number: int = signal.SIGKILL, parent: int | None = None) -> None:
    """Have the kernel signal this process when its parent ends; only on Linux.

    With `parent`, the process ends at once when that one is gone already.
    """
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, number)
    if parent is not None and os.getppid() != parent:
        os._exit(1)
