"""Whether an error says that memory ran out: each library has words of its own for it."""

from __future__ import annotations

WORDS = (
    "bad allocation", "bad_alloc", "allocate memory", "failed to allocate", "unable to allocate", "out of memory",
    "malloc of size",
)  # fmt: skip


def lacks_memory(error: BaseException | None) -> bool:
    """Say whether an error, or one that it was raised from, tells of a lack of memory."""
    while error is not None:
        if isinstance(error, MemoryError) or says_so(str(error)):
            return True
        error = error.__cause__
    return False


def says_so(text: str) -> bool:
    """Say whether words of a library tell of a lack of memory."""
    return any(words in text.lower() for words in WORDS)
