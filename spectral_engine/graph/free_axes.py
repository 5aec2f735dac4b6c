"""Axes whose length a model leaves open, and lengths at which to try it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from math import prod

from spectral_engine.onnx_io.row_axes import RowAxes, Shapes

InputAxis = tuple[str, int]  # an input and one of its axes
Lengths = dict[str, int]  # by the name of a free dimension, or "input/axis" where it has none

# Sequences first, then images that are halved again and again, then sound.
FIRST_LENGTHS = (7, 8, 1, 32, 224, 299, 64, 128, 400, 512, 576, 640, 1600, 5120, 16000)
# Where one length for all does not fit: of one dimension, as the height of a line of text, beside those of the rest.
LENGTHS_ALONE = (48, 32, 64, 80, 40, 96, 24, 16, 128, 1)
LENGTHS_OF_REST = (256, 100, 32)
# Where a size gets too small at all of these, or does not divide.
FURTHER = (12, 20, 60, 120, 240, 384, 480, 768, 1024, 1280, 2048, 4096, 8192, 32000, 48000, 160000)
RESTS = (64, 8)
NEAR_FROM = 128  # a length of which half and a bit more are tried before multiples
MOST_ELEMENTS = 2**23  # of one input in a trial
SWEPT = 5  # lengths of each free dimension at which a written file is run
OTHERS = 1  # further lengths of each free dimension that a settled number is held against


class FreeAxes:
    """The free dimensions of a model's inputs, leaving rows out: those of one name have one length."""

    def __init__(self, inputs: Shapes, rows: RowAxes) -> None:
        self.shapes, self.rows = inputs, rows
        self.input_axes: dict[str, list[InputAxis]] = {}
        for name, shape in self.shapes.items():
            for axis, dim in enumerate(shape):
                if not isinstance(dim, int) and axis != rows.of_input(name):
                    called = dim or f"{name}/{axis}"
                    self.input_axes.setdefault(called, []).append((name, axis))

    @property
    def has_free_rows(self) -> bool:
        """Whether an input leaves its number of rows open."""
        rows = ((shape, self.rows.of_input(name)) for name, shape in self.shapes.items())
        return any(
            axis is not None and axis < len(shape) and not isinstance(shape[axis], int)
            for shape, axis in rows
        )

    def of_data(self, known: Mapping[str, tuple[int, ...]]) -> Lengths:
        """Return the lengths that rows of data have [row shape by input]; where they say nothing, none."""
        lengths: Lengths = {}
        for called, input_axes in self.input_axes.items():
            for name, axis in input_axes:
                rows, row = self.rows.of_input(name), known.get(name)
                at = axis if rows is None or axis < rows else axis - 1
                if row is not None and at < len(row):
                    lengths.setdefault(called, row[at])
        return lengths

    def sizes(self, name: str, lengths: Lengths, batch: int) -> list[int]:
        """Return the shape of an input with these lengths, and `batch` rows."""
        shape = [dim if isinstance(dim, int) else 0 for dim in self.shapes[name]]
        for called, input_axes in self.input_axes.items():
            for where, axis in input_axes:
                if where == name:
                    shape[axis] = lengths[called]
        rows = self.rows.of_input(name)
        if rows is not None and rows < len(shape):
            shape[rows] = batch
        return shape

    def first(self, known: Mapping[str, tuple[int, ...]]) -> Iterator[Lengths]:
        """Yield lengths to try first: those of the data, or one for all after another."""
        told = self.of_data(known)
        missing = [called for called in self.input_axes if called not in told]
        if not missing:
            yield told
            return
        for length in FIRST_LENGTHS:
            lengths = {**told, **dict.fromkeys(missing, length)}
            if length == FIRST_LENGTHS[0] or self._is_affordable(lengths):
                yield lengths
        if len(missing) > 1:
            yield from self._one_apart(told, missing)

    def _one_apart(self, told: Lengths, missing: Sequence[str]) -> Iterator[Lengths]:
        """Yield lengths of which one differs from all others that are not told."""
        for rest, alone, called in product(LENGTHS_OF_REST, LENGTHS_ALONE, missing):
            lengths = {**told, **dict.fromkeys(missing, rest), called: alone}
            if rest != alone and self._is_affordable(lengths):
                yield lengths

    def further(self, known: Mapping[str, tuple[int, ...]]) -> Iterator[Lengths]:
        """Yield ever longer lengths, of all that are not told and of each by itself beside usual ones."""
        told = self.of_data(known)
        missing = [called for called in self.input_axes if called not in told]
        for length in FURTHER if missing else ():
            every = {**told, **dict.fromkeys(missing, length)}
            alone = [
                {**told, **dict.fromkeys(missing, rest), called: length}
                for called, rest in product(missing if len(missing) > 1 else (), RESTS)
            ]
            yield from (lengths for lengths in (every, *alone) if self._is_affordable(lengths))

    def others(self, base: Lengths, runs: Callable[[Lengths], bool]) -> None:
        """Try other lengths than those of `base`, which run, until each free dimension has run at some."""
        self._until(OTHERS, base, _other_lengths, runs)

    def around(self, base: Lengths, runs: Callable[[Lengths], bool]) -> None:
        """Try lengths near those of `base`, which run, until each free dimension has run at a few."""
        self._until(SWEPT, base, _near_lengths, runs)

    def _until(
        self,
        enough: int,
        base: Lengths,
        lengths_of: Callable[[int], Iterator[int]],
        runs: Callable[[Lengths], bool],
    ) -> None:
        """Vary each dimension by itself and, where it does not run so, with all others, until it ran often enough."""
        for called in base:
            ran = 0
            for length in lengths_of(base[called]):
                ran += any(runs(one) for one in self._varied(base, called, length))
                if ran == enough:
                    break

    def _varied(self, base: Lengths, called: str, length: int) -> Iterator[Lengths]:
        """Yield `base` with one dimension changed, by itself and with all others."""
        alone = {**base, called: length}
        all_alike = {one: _as_much(base[one], base[called], length) for one in base}
        for lengths in (alone, all_alike) if alone != all_alike else (alone,):
            if self._is_affordable(lengths):
                yield lengths

    def _is_affordable(self, lengths: Lengths) -> bool:
        sizes = [self.sizes(name, lengths, 2) for name in self.shapes]
        return all(prod(shape) <= MOST_ELEMENTS for shape in sizes)


def _other_lengths(base: int) -> Iterator[int]:
    """Yield other lengths, far enough apart that no stride makes them one, and those that cost least first."""
    near, far = (base + 64, base + 32, base // 2), (3 * base, 2 * base, 10 * base)
    tried = (*near, *far) if base >= NEAR_FROM else (*far[:2], *near[:1], far[2], base + 1)
    yield from dict.fromkeys(length for length in tried if 0 < length != base)


def _near_lengths(base: int) -> Iterator[int]:
    """Yield lengths that cost about as much: odd ones for sequences, multiples of 32 for images, more for sound."""
    little = (base + 1, base - 1, 2 * base, base + 5, 3 * base, base + 7, base + 64)
    much = (base - 32, base + 32, base // 2, base + 64, base - 64, base + 1, 2 * base, base + 128)
    lengths = much if base >= NEAR_FROM else (*little, base + 32, base // 2)
    yield from dict.fromkeys(length for length in lengths if 0 < length != base)


def _as_much(current: int, base: int, length: int) -> int:
    """Return a length that changes as another does: by the same factor, or by the same number."""
    return current * (length // base) if length % base == 0 else max(1, current + length - base)
