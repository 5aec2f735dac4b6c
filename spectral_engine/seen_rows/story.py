"""What the report says of rows that the original may have seen."""

from __future__ import annotations

from spectral_engine.evaluation import Evaluation
from spectral_engine.report.seen_schema import FloorReading, MemorySign, SeenRows
from spectral_engine.seen_rows.compare import GRANTED, ReadAs, Readings
from spectral_engine.seen_rows.memory import Memory


def floor_of(read: ReadAs) -> FloorReading | None:
    """Return what the floor would be under one reading; None where none is asked for."""
    test, found = read.tests[read.chosen], read.measured[read.chosen]
    if test is None:
        return None
    shown, unseen = test.status == "shown", read.reading == "unseen"
    against = "the original as it is" if unseen else "the original retrained without these rows"
    return FloorReading(
        reading=read.reading,
        candidate=f"candidate-{read.chosen + 1}",
        shown=shown,
        drop=found.drop.value,
        upper_bound=test.upper_bound,
        statement=f"if the original has {'not ' if unseen else ''}seen the rows: a drop of {found.drop.value:.4g} "
        f"against {against}, at most {test.upper_bound:.4g} at {100 * test.confidence:g} % confidence; the floor of "
        f"{test.floor:.4g} is {'' if shown else 'not '}shown",
    )


def tell(memory: Memory, evaluation: Evaluation, read: Readings) -> SeenRows:
    """Return the report's section."""
    both = [read.unseen, *([] if read.seen is None else [read.seen])]
    by_reference = read.decided.reading == "seen"
    reference = None
    if memory.reference is not None:
        reference = evaluation.held_out(memory.reference).metric.value
    return SeenRows(
        said=memory.said,
        seen_parts=list(memory.parts),
        assumed=memory.assumed,
        statement=statement(memory, compared=by_reference),
        sign=memory.sign,
        reference=reference,
        decided_against="reference" if by_reference else "original",
        readings=[floor for one in both if (floor := floor_of(one)) is not None],
        taken_for_granted=GRANTED if by_reference else None,
    )


def warnings(told: SeenRows) -> list[str]:
    """Return what must be read before the figures: overstated drops, and signs that they may be."""
    if told.said is False or (told.said is None and not (told.sign and told.sign.found)):
        return []
    return ["; ".join([told.statement, *(reading.statement for reading in told.readings)])]


def statement(memory: Memory, *, compared: bool) -> str:
    """Say in a sentence what was said or found, and what was made of it."""
    if memory.said is False:
        return "stated: the original has not seen the held-out rows"
    if memory.said:
        start = (
            "stated: the original was trained on the held-out rows, so that its metric on them is too high and drops "
            "against it are overstated"
        )
        end = (
            "candidates are compared with the original retrained in the same way without these rows"
        )
        return f"{start}; {end}" if compared else start
    if memory.sign is None:
        return (
            "nothing is said of whether the original has seen these rows, and no sign of it could be looked for; they "
            "are taken as rows that it has not seen"
        )
    if not memory.sign.found:
        return (
            "nothing is said of whether the original has seen these rows, and no sign of it was found "
            f"({_figures(memory.sign)}); they are taken as rows that it has not seen"
        )
    return (
        "nothing is said, but there are signs that the original was trained on these rows "
        f"({_figures(memory.sign)}); "
        "the outcome takes them as rows that it has not seen, and if it has, drops are overstated: say "
        "`seen_by_original`: true or false"
    )


def _figures(sign: MemorySign) -> str:
    return (
        f"its place between rows learned, 0, and rows never seen, 1, is {sign.place:.2f} ± {sign.error:.2f}, and below "
        f"{sign.threshold:g} is a sign"
    )
