"""Time beside the original: slower candidates are no gain, and give way to wider ones that are faster."""

import pytest

from spectral_engine.cost.budget import Budget
from spectral_engine.judging.gain import Timed, with_time
from spectral_engine.judging.verdict import Verdict
from spectral_engine.records.report import Latency

MET = Verdict("target_met", "the metric drops by 0.005 on held-out rows")
NOT_MET = Verdict("target_not_met", "the metric drops by 0.2 on held-out rows")
MACS = Budget({"macs": 200})


def times(**by_batch):
    """Return samples around 1 ms of the original, and around what is given of the others, by batch size."""
    return {
        name: [
            Latency(
                batch_size=batch,
                median_ms=ms,
                samples_ms=[ms * (1 + 0.001 * (sample % 7)) for sample in range(60)],
                threads=1,
                provider="CPUExecutionProvider",
            )
            for batch, ms in zip((1, 64), both, strict=True)
        ]
        for name, both in {"baseline": (1.0, 8.0), **by_batch}.items()
    }


class Clock:
    """Gives the times that it was made with, and keeps what it was asked for."""

    def __init__(self, timings):
        self.timings, self.asked = timings, []

    def __call__(self, names):
        self.asked.append(list(names))
        return {name: self.timings[name] for name in ("baseline", *names)}


def judged(chosen, wider=None, verdict=MET, budget=MACS, again=None):
    timings = times(narrow=chosen, **{name: ms for name, (ms, _) in (wider or {}).items()})
    clock = Clock(timings if again is None else times(narrow=again))
    timed = Timed("narrow", verdict, {name: timings[name] for name in ("baseline", "narrow")})
    verdicts = {name: told for name, (_, told) in (wider or {}).items()}
    return with_time(timed, budget, verdicts, clock), clock


def test_a_faster_candidate_is_timed_once():
    handed, clock = judged((0.5, 3.0))
    assert handed.name == "narrow"
    assert handed.verdict == MET
    assert clock.asked == []


def test_a_candidate_that_is_slower_and_nowhere_faster_is_no_gain():
    handed, clock = judged((1.3, 8.0))
    assert handed.verdict.outcome == "no_gain"
    assert "1.30 times as long at batch size 1" in handed.verdict.reason
    assert "batch size 64" not in handed.verdict.reason
    assert clock.asked == [["narrow"]]


def test_slower_once_and_not_again_is_chance():
    handed, _ = judged((1.3, 8.0), again=(1.0, 8.0))
    assert handed.verdict == MET


def test_a_little_slower_is_told_and_no_more():
    handed, _ = judged((1.04, 8.0))
    assert handed.verdict.outcome == "target_met"
    assert "1.04 times as long at batch size 1" in handed.verdict.reason


def test_slower_for_one_row_and_faster_for_many_is_told():
    handed, _ = judged((2.0, 6.0))
    assert handed.verdict.outcome == "target_met"
    assert "no gain in time" in handed.verdict.reason
    assert "2.00 times as long at batch size 1" in handed.verdict.reason
    assert "64" not in handed.verdict.reason


def test_the_narrowest_wider_candidate_that_is_faster_takes_its_place():
    wider = {"wide": ((0.8, 6.0), MET), "wider": ((0.7, 5.0), MET)}
    handed, clock = judged((1.3, 8.0), wider)
    assert handed.name == "wide"
    assert handed.verdict.outcome == "target_met"
    assert (
        "narrow meets it too, but takes 1.30 times as long at batch size 1" in handed.verdict.reason
    )
    assert clock.asked == [["narrow", "wide", "wider"]]
    assert set(handed.times) == {"baseline", "narrow", "wide", "wider"}


def test_a_wider_candidate_that_breaks_the_floor_does_not():
    handed, clock = judged((1.3, 8.0), {"wide": ((0.8, 6.0), NOT_MET)})
    assert handed.name == "narrow"
    assert handed.verdict.outcome == "no_gain"
    assert clock.asked == [["narrow"]]


@pytest.mark.parametrize("resource", ["bytes", "params"])
def test_who_limits_bytes_or_parameters_has_a_gain_whatever_the_clock_says(resource):
    handed, clock = judged((1.3, 9.0), budget=Budget({resource: 1e9}))
    assert handed.verdict == MET
    assert clock.asked == []


def test_a_target_that_is_not_met_stays_so():
    handed, _ = judged((1.3, 9.0), verdict=NOT_MET)
    assert handed.verdict == NOT_MET
