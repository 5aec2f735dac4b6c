"""The links of one weight, in units that a pattern keeps or drops as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.methods.sparse.link_pattern import Pattern


@dataclass(frozen=True)
class Layout:
    """Where the units of a weight are: links, or blocks of links; each entry of a kernel is a link of its own.

    `out_axis` and `in_axis` are the weight's axes of its output and input nodes. Units are a tensor
    [out, in, kernel], or [block rows, block columns, kernel].
    """

    pattern: Pattern
    shape: tuple[int, ...]
    out_axis: int
    in_axis: int

    @property
    def links(self) -> int:
        """Links of the dense weight."""
        return prod(self.shape)

    @property
    def smallest(self) -> int:
        """Links of the smallest thing that can stay alone."""
        if self.pattern.kind == "block":
            rows, columns = self.sides[:2]
            return min(rows, self.pattern.rows) * min(columns, self.pattern.columns)
        return 1

    @property
    def sides(self) -> tuple[int, ...]:
        """Output nodes, input nodes, and the kernel's sides where there is one."""
        rest = [n for axis, n in enumerate(self.shape) if axis not in {self.out_axis, self.in_axis}]
        return (self.shape[self.out_axis], self.shape[self.in_axis], *rest)

    def units(self, values: Tensor) -> Tensor:
        """Sum values in the shape of the weight over each unit."""
        turned = self._turned(values)  # [out, in, kernel]
        if self.pattern.kind != "block":
            return turned
        rows, columns = self.pattern.rows, self.pattern.columns
        padded = F.pad(turned, (0, 0, 0, -turned.shape[1] % columns, 0, -turned.shape[0] % rows))
        height, width, kernel = padded.shape
        blocks = padded.reshape(height // rows, rows, width // columns, columns, kernel)
        return blocks.sum(dim=(1, 3))

    def spread(self, units: Tensor) -> Tensor:
        """Return units in the shape of the weight."""
        turned = units
        if self.pattern.kind == "block":
            turned = units.repeat_interleave(self.pattern.rows, 0)
            turned = turned.repeat_interleave(self.pattern.columns, 1)
            turned = turned[: self.sides[0], : self.sides[1]]
        whole = turned.reshape(self.sides)
        return whole.movedim((0, 1), (self.out_axis, self.in_axis)).contiguous()

    def keep(self, scores: Tensor, count: int) -> Tensor:
        """Mark the units of the highest scores: `count` links, or as many as the pattern allows below that.

        One unit stays in any case. Of an n:m pattern each group keeps the same number, at least what the pattern
        says: `count` asks for more only on the way down to it.
        """
        if self.pattern.kind == "n:m":
            return self._keep_in_groups(scores, count)
        order = scores.flatten().argsort(descending=True, stable=True)
        sizes = self.units(torch.ones(self.shape, device=scores.device)).flatten()[order]
        kept = sizes.cumsum(0) <= count
        kept[0] = True
        marked = torch.zeros_like(scores).flatten()
        marked[order[kept]] = 1.0
        return marked.view_as(scores)

    def _keep_in_groups(self, scores: Tensor, count: int) -> Tensor:
        group = self.pattern.group
        kept = max(self.pattern.kept, min(group, -(-count * group // self.links)))
        short = -scores.shape[1] % group
        padded = F.pad(scores, (0, 0, 0, short), value=-torch.inf)
        padded = padded.reshape(
            padded.shape[0], -1, group, padded.shape[2]
        )  # [out, groups, group, kernel]
        best = padded.argsort(dim=2, descending=True, stable=True)[:, :, :kept]
        marked = torch.zeros_like(padded).scatter_(2, best, 1.0)
        return marked.flatten(1, 2)[:, : scores.shape[1]].contiguous()

    def _turned(self, values: Tensor) -> Tensor:
        moved = values.movedim((self.out_axis, self.in_axis), (0, 1))
        return moved.reshape(moved.shape[0], moved.shape[1], -1)
