"""What nobody foresaw, told as `internal`: where the engine stood, and how to report it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from spectral_engine.errors import EngineError, Internal

# Memory, files and devices fail so, and may do better another time; all else is a mistake in a program.
FAILURES = (OSError, MemoryError)
LACKS = ("allocate memory", "out of memory", "CUDA")
MOST_WORDS = 300


@contextmanager
def unforeseen(
    doing: Callable[[], str], callers: Callable[[Exception], bool] = lambda _: False
) -> Iterator[None]:
    """Turn an error that nobody foresaw into Internal, which says what the engine was `doing`.

    `callers` marks errors of whoever called the engine: they pass as they are.
    """
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        if callers(error) or not _is_mistake(error):
            raise
        words = " ".join(str(error).split())[:MOST_WORDS]
        raise Internal(
            f"{type(error).__name__} while {doing()}: {words}. This is a fault of the engine and not of the request: "
            "please report this line with the recipe, and the files where they may be shown"
        ) from error


def _is_mistake(error: Exception) -> bool:
    if isinstance(error, RuntimeError):  # of which torch makes its own kinds, for devices
        generic = type(error) is RuntimeError or isinstance(
            error, NotImplementedError | RecursionError
        )
        return generic and not any(word in str(error) for word in LACKS)
    return not isinstance(error, FAILURES)
