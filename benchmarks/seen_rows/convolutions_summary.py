"""What the rows of convolutional nets come to: bounds that failed first, then signs."""

from __future__ import annotations

from typing import Any

from benchmarks.seen_rows.summary import CLEAR_GAP

Row = dict[str, Any]
FIRST_SURENESS = 0.5  # of rows that do not name it


def in_words(rows: list[Row]) -> str:
    """Say how often bounds held, whether what is overstated is said to be, and how often a sign is found."""
    return "; ".join([_bounds(rows), _overstated(rows), _outcomes(rows), *_signs(rows)])


def badness(row: Row) -> float:
    """Return how wrong a row is: by how far its worst bound failed, and 1 for each sign that is wrong."""
    wrong = sum(_missed(row, look) + look["unseen"]["found"] for look in row["signs"])
    return wrong + max(c["true"] - c["stated"] for c in row["candidates"])


def sign(position: int, part: str):
    """Return how to show one look: found or not, and the place."""

    def show(row: Row) -> str:
        look = row["signs"][position][part]
        if not look["looked"]:
            return "nothing to see"
        return f"{'found' if look['found'] else 'not found'}, {look['place']:.2f} ± {look['error']:.2f}"

    return show


def _bounds(rows: list[Row]) -> str:
    every = [c for row in rows for c in row["candidates"]]
    broken = [c for c in every if c["true"] > c["stated"]]
    whole = sum(all(c["true"] <= c["stated"] for c in row["candidates"]) for row in rows)
    worst = 100 * max((c["true"] - c["stated"] for c in broken), default=0.0)
    by_how_much = f", the worst by {worst:.1f} points" if broken else ""
    return (
        f"true drops beyond the stated bound: {len(broken)} of {len(every)} candidates{by_how_much}; "
        f"all bounds held in {whole} of {len(rows)} jobs"
    )


def _overstated(rows: list[Row]) -> str:
    """The warning follows from what the job was told; that the rehearsed drop is nearer does not."""
    jobs = [row for row in rows if (c := row["candidates"][row["chosen"]])["measured"] > c["true"]]
    told = sum(row["told_overstated"] for row in jobs)
    both = [c for row in rows for c in row["candidates"] if c["rehearsed"] is not None]
    nearer = sum(abs(c["rehearsed"] - c["true"]) < abs(c["measured"] - c["true"]) for c in both)
    measured, rehearsed, slack = (
        100 * sum(c[key] - c["true"] for c in both) / len(both)
        for key in ("measured", "rehearsed", "bound")
    )
    return (
        f"the drop of what was handed back was truly overstated in {len(jobs)} of {len(rows)} jobs, and {told} of "
        f"these said so; rehearsed drops are nearer to the truth than measured ones for {nearer} of {len(both)} "
        f"candidates, too high by {rehearsed:.1f} points on average where measured ones are by {measured:.1f}, and "
        f"bounds by {slack:.1f}"
    )


def _outcomes(rows: list[Row]) -> str:
    met = [row for row in rows if row["outcome"] == "target_met"]
    kept = sum(row["candidates"][row["chosen"]]["true"] <= row["floor"] for row in met)
    could = sum(
        any(_fits(row, c) and c["true"] <= row["floor"] for c in row["candidates"]) for row in rows
    )
    by = sum(row["decided_by"] == "rehearsal" for row in rows)
    return (
        f"the rehearsal decides in {by} of {len(rows)} jobs; {len(met)} targets met, {kept} of them truly, where "
        f"{could} jobs had a candidate that truly meets it"
    )


def _fits(row: Row, candidate: Row) -> bool:
    return bool(candidate["macs"] <= row["max_macs"] * row["macs"])


def _signs(rows: list[Row]) -> list[str]:
    """Tell each number of rows handed over by itself: few rows of many that a net learned from are the harder case."""
    kinds: dict[tuple[int, float], list[tuple[Row, Row]]] = {}
    for row in rows:
        for look in row["signs"]:
            kinds.setdefault((look["rows"], _sureness(look)), []).append((row, look))
    return [_signs_among(*kind, looks) for kind, looks in sorted(kinds.items(), reverse=True)]


def _sureness(look: Row) -> float:
    return float(look["unseen"].get("sureness", FIRST_SURENESS))


def _signs_among(rows: int, sureness: float, looks: list[tuple[Row, Row]]) -> str:
    clear = [(row, look) for row, look in looks if _gap(row) > CLEAR_GAP]
    missed = sum(_missed(row, look) for row, look in looks)
    alarms = sum(look["unseen"]["found"] for _, look in looks)
    return (
        f"with {rows:,} rows handed over, nothing said, and {sureness:g} standard errors to be below the threshold: "
        f"memory missed in {missed} of {len(clear)} looks at nets that do better by over {100 * CLEAR_GAP:g} points on "
        f"rows that they saw, false alarms in {alarms} of {len(looks)}"
    )


def _missed(row: Row, look: Row) -> bool:
    return _gap(row) > CLEAR_GAP and not look["seen"]["found"]


def _gap(row: Row) -> float:
    return float(row["accuracy_own"] - row["accuracy_unseen"])
