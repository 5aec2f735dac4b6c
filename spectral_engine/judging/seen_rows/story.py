"""What the report says of rows that the original may have seen."""

from __future__ import annotations

from spectral_engine.judging.seen_rows.compare import GRANTED, ReadAs, Readings
from spectral_engine.judging.seen_rows.memory import Memory
from spectral_engine.measure.memory import SURENESS
from spectral_engine.records.seen_rows import FloorReading, MemorySign, SeenRows

UNSEEN = "they are taken as rows that it has not seen"


def tell(memory: Memory, read: Readings) -> SeenRows:
    """Return the report's section."""
    both = [read.unseen, *([] if read.seen is None else [read.seen])]
    rehearsed = read.decided.reading == "seen"
    return SeenRows(
        said=memory.said,
        seen_parts=list(memory.parts),
        assumed=memory.assumed,
        statement=statement(memory),
        sign=memory.sign,
        stand_in=read.stand_in,
        allowance=read.allowance,
        decided_by="rehearsal" if rehearsed else "original",
        doubt=read.doubt,
        readings=[floor for one in both if (floor := floor_of(one)) is not None],
        taken_for_granted=GRANTED if rehearsed else None,
    )


def floor_of(read: ReadAs) -> FloorReading | None:
    """Return what the floor would be under one reading; None where none is asked for."""
    test, measured = read.tests[read.chosen], read.measured[read.chosen]
    if test is None:
        return None
    shown, unseen = test.status == "shown", read.reading == "unseen"
    how = "measured against the original" if unseen else "rehearsed on a stand-in"
    return FloorReading(
        reading=read.reading,
        candidate=f"candidate-{read.chosen + 1}",
        shown=shown,
        drop=measured.drop.value,
        upper_bound=test.upper_bound,
        statement=f"if the original has {'not ' if unseen else ''}seen the rows: candidate-{read.chosen + 1} with a "
        f"drop of {measured.drop.value:.4g}, {how}, at most {test.upper_bound:.4g} at {100 * test.confidence:g} % "
        f"confidence; the floor of {test.floor:.4g} is {'' if shown else 'not '}shown",
    )


def warnings(told: SeenRows) -> list[str]:
    """Return what must be read before the figures: overstated drops, and signs that they may be."""
    if told.said is False or (told.said is None and not (told.sign and told.sign.found)):
        return []
    doubt = [] if told.doubt is None else [f"the rehearsal does not decide: {told.doubt}"]
    return ["; ".join([told.statement, *(one.statement for one in told.readings), *doubt])]


def statement(memory: Memory) -> str:
    """Say in a sentence what was said or found, and what was made of it."""
    if memory.said is False:
        return "stated: the original has not seen the held-out rows"
    if memory.said:
        return (
            "stated: the original was trained on the held-out rows: its metric on them is too high, and drops against "
            "it are overstated"
        )
    nothing = "nothing is said of whether the original has seen these rows"
    if memory.sign is None:
        return f"{nothing}, and no sign of it could be looked for; {UNSEEN}"
    if not memory.sign.found:
        return f"{nothing}, and no sign of it was found ({_figures(memory.sign)}); {UNSEEN}"
    return (
        f"{nothing}, but there are signs that it was trained on them ({_figures(memory.sign)}); {UNSEEN}, and if it "
        "has, drops against it are overstated: say `seen_by_original`, true or false"
    )


def _figures(sign: MemorySign) -> str:
    return (
        f"its place between rows learned, 0, and rows never seen, 1, is {sign.place:.2f} ± {sign.error:.2f}; "
        f"{SURENESS:g} times that error below {sign.threshold:g} is a sign"
    )
