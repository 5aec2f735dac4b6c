"""What the rows of a benchmark say together, in a sentence."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

ONE_POINT = 0.01


def of_certificates(rows: list[dict[str, Any]]) -> str:
    """Say how many certificates were false, and how the jobs ended."""
    ends = Counter(row["outcome"] for row in rows)
    false = [row for row in rows if row.get("false")]
    kept = [row for row in rows if row["outcome"] == "target_met" and not row["false"]]
    said = ", ".join(f"{outcome} {count}" for outcome, count in ends.most_common())
    return (
        f"{len(false)} false certificates in {len(rows)} jobs ({said}); in {len(kept)} the wreck truly keeps its "
        "floor: some leave a net as good as before"
    )


def of_small_data(rows: list[dict[str, Any]]) -> str:
    """Say what each way to hold out gives on average."""
    said = []
    for split, words in (("usual", "15 % held out"), ("more", "30 % held out")):
        cells = [row for row in rows if row["split"] == split]
        if cells:
            met = [row for row in cells if row["outcome"] == "target_met"]
            broken = sum(row["true_drop"] > ONE_POINT for row in met)
            kept = statistics.mean(row["macs_kept"] for row in cells)
            lost = statistics.mean(row["true_drop"] for row in cells)
            said.append(
                f"{words}: {len(met)} of {len(cells)} jobs met the target, of which {broken} truly lose more than a "
                f"point; {kept:.0%} of the multiply-adds kept and {100 * lost:.2f} points truly lost on average"
            )
    return "; ".join(said)


def of_speed(rows: list[dict[str, Any]]) -> str:
    """Say how our files' times compare with Torch-Pruning's, and with what their multiply-adds promise."""
    times = [row["microseconds"] for row in rows]
    rivals = [one["ours"] / one["theirs"] for one in times if "theirs" in one]
    gains = [one["original"] / one["ours"] for one in times]
    kept = [
        gain * row["macs"]["ours"] / row["macs"]["original"]
        for gain, row in zip(gains, rows, strict=True)
    ]
    more = sum(
        row["optimised_nodes"]["ours"]
        > min(row["optimised_nodes"].get(who, 10**9) for who in ("original", "theirs"))
        for row in rows
    )
    return (
        f"our time ÷ Torch-Pruning's: {min(rivals):.2f} to {max(rivals):.2f}, median {statistics.median(rivals):.2f}, "
        f"above 1 in {sum(one > 1 for one in rivals)} of {len(rivals)} cells; the slowest of our files is "
        f"{min(gains):.2f} times as fast as its original; the gain in time is {min(kept):.2f} to {max(kept):.2f} of "
        f"that in multiply-adds, at least 0.8 in {sum(one >= 0.8 for one in kept)} of {len(kept)} cells; optimised by "
        f"onnxruntime, our file has more nodes than the original's or Torch-Pruning's in {more} cells"
    )


def of_no_training(rows: list[dict[str, Any]]) -> str:
    """Say how our error without training compares with that of each other method, in the worst cell and on average."""
    cells: dict[tuple[Any, ...], dict[str, float]] = {}
    for row in rows:
        cells.setdefault((row["setting"], row["seed"], row["level"]), {})[row["method"]] = row[
            "test"
        ]
    ours = "ours, least squares"
    said = []
    for method in dict.fromkeys(row["method"] for row in rows):
        ratios = [
            cell[ours] / cell[method] for cell in cells.values() if ours in cell and method in cell
        ]
        if method != ours and ratios:
            mean = statistics.geometric_mean(ratios)
            said.append(
                f"of {method} {max(ratios):.2f} at worst, {mean:.2f} on average over {len(ratios)} cells"
            )
    return "error with least squares over that: " + "; ".join(said)
