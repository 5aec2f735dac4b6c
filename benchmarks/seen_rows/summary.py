"""What the rows of both parts come to."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
CLEAR_GAP = 0.02  # of accuracy on seen rows over unseen ones: less does no harm


def gap(row: Row) -> float:
    """Return by how much the original does better on rows that it saw."""
    return float(row["accuracy_seen"] - row["accuracy_unseen"])


def signs_wrong(row: Row) -> float:
    """Return how wrong a row is: a false alarm above all, then memory that was not found."""
    missed = not row["seen"]["found"] and gap(row) > CLEAR_GAP
    return 2.0 * row["unseen"]["found"] + missed + gap(row)


def signs_in_words(rows: list[Row]) -> str:
    """Say how often the sign is found, on data that chose the threshold and on others."""
    return "; ".join(
        _signs_on(f"{name}: ", [row for row in rows if row["chosen_on"] is chosen])
        for name, chosen in (
            ("data looked at once the test stood", False),
            ("data that chose it", True),
        )
    )


def _signs_on(name: str, rows: list[Row]) -> str:
    looked = [row for row in rows if row["seen"]["looked"] and row["unseen"]["looked"]]
    clear = [row for row in looked if gap(row) > CLEAR_GAP]
    false = sum(row["unseen"]["found"] for row in looked)
    right = sum(row["seen"]["found"] for row in clear)
    return (
        f"{name}found in {right} of {len(clear)} nets that do better by over {100 * CLEAR_GAP:g} points on rows that "
        f"they saw, false alarms in {false} of {len(looked)}"
    )


def sign(part: str):
    """Return how to show one reading: what was found, and the place."""

    def show(row: Row) -> str:
        reading = row[part]
        if not reading["looked"]:
            return "too few rows"
        word = "found" if reading["found"] else "not found"
        return f"{word}, {reading['place']:.2f} ± {reading['error']:.2f}, at {reading['temperature']:.2f}"

    return show


def missed(row: Row) -> float:
    """Return by how much the worst candidate's true drop exceeds what was stated; below 0 where none does."""
    return max(c["true"] - c["bound"] for c in row["candidates"] if c["bound"] is not None)


def drops_in_words(rows: list[Row]) -> str:
    """Say how often true drops were within the bound, how far measured ones overstate, and what was handed back."""
    all_of = [c for row in rows for c in row["candidates"] if c["bound"] is not None]
    within = sum(c["true"] <= c["bound"] for c in all_of)
    measured = sum(c["measured"] - c["true"] for c in all_of) / len(all_of)
    rehearsed = sum(c["rehearsed"] - c["true"] for c in all_of) / len(all_of)
    met = [row for row in rows if row["outcome"] == "target_met"]
    kept = sum(row["candidates"][row["chosen"]]["true"] <= row["floor"] for row in met)
    told = sum(row["told_overstated"] for row in rows)
    alone = sum(
        c["measured"] <= row["floor"] for row in met for c in [row["candidates"][row["chosen"]]]
    )
    return (
        f"true drops within the stated bound: {within} of {len(all_of)} candidates of {len(rows)} jobs; overstated as "
        f"said in {told} of {len(rows)} jobs; measured drops are too high by {100 * measured:.1f} points on average, "
        f"rehearsed ones by {100 * rehearsed:.1f}; {len(met)} targets met, {kept} of them truly, of which "
        f"{alone} by the measured drop as well"
    )


def candidates(row: Row) -> str:
    """Show each candidate: true, measured, rehearsed, at most."""
    return "; ".join(
        " · ".join(_points(c[key]) for key in ("true", "measured", "rehearsed", "bound"))
        for c in row["candidates"]
    )


def _points(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"
