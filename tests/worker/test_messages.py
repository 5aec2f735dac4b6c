"""What a worker and its engine's process tell each other: whole, whatever the pipe cuts, and nothing else."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.store.jobs.error import ErrorNode, JobError
from spectral_engine.records.progress import CandidateFile, Progress
from worker.messages import (
    AnalysisTask,
    Analyzed,
    Assignment,
    Compressed,
    Compression,
    Crashed,
    DataOptions,
    Failed,
    FinalCandidate,
    LineReader,
    Measured,
    Progressed,
)

TEXTS = st.text(max_size=20)
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**50)
MEASURED = st.builds(
    Measured,
    nodes=COUNTS,
    params=COUNTS,
    macs=COUNTS,
    file_bytes=COUNTS,
    validation_metric=NUMBERS,
    metric=NUMBERS,
)
CANDIDATES = st.builds(
    FinalCandidate,
    path=st.just(Path("/work/0.onnx")),
    external=st.just((Path("/work/0.data"),)),
    measured=MEASURED,
    validation_drop=NUMBERS,
    drop=NUMBERS,
    chosen=st.booleans(),
)
ANSWERS = st.one_of(
    st.builds(
        Progressed,
        stage=st.sampled_from(["training", "exporting"]),
        fraction=st.floats(0, 1),
        step=COUNTS,
        total_steps=COUNTS,
        eta_seconds=NUMBERS,
        message=TEXTS,
        metrics=st.dictionaries(TEXTS, NUMBERS, max_size=3),
        candidate=st.none(),
        warning=st.none() | TEXTS,
    ),
    st.builds(
        Compressed,
        outcome=TEXTS,
        outcome_reason=TEXTS,
        binding_constraint=st.none() | TEXTS,
        metric_name=TEXTS,
        baseline=MEASURED,
        candidates=st.lists(CANDIDATES, max_size=2).map(tuple),
    ),
    st.builds(Analyzed, analysis=st.dictionaries(TEXTS, COUNTS | TEXTS, max_size=3)),
    st.builds(Failed, error=st.builds(JobError, code=TEXTS, detail=TEXTS)),
    st.builds(Crashed, detail=TEXTS),
)


@given(st.lists(ANSWERS, max_size=4), st.integers(1, 50))
def test_answers_arrive_whole_and_in_order_however_they_are_cut(answers, size):
    stream = b"".join(answer.to_line() for answer in answers)
    reader, arrived = LineReader(), []
    for start in range(0, len(stream), size):
        arrived += reader.feed(stream[start : start + size])
    assert arrived == answers


def test_what_is_no_answer_is_passed_over():
    reader, crash = LineReader(), Crashed(detail="?").to_line()
    unknown = b'{"kind": "crash", "detail": "?", "more": 1}\n{"kind": "dance"}\n{"detail": "?"}\n'
    assert reader.feed(b"print!\n[1]\n" + unknown + crash[:9]) == []
    assert reader.feed(crash[9:]) == [Crashed(detail="?")]


def told(**more: object) -> dict[str, object]:
    """Return the engine's progress as it arrives, as plain JSON."""
    progress = Progress("training", 0.5, 1, 2, **more)
    line = Progressed.model_validate(progress).to_line()
    fields: dict[str, object] = json.loads(line)
    return fields


def test_progress_arrives_as_the_engine_told_it():
    file = CandidateFile(
        3, Path("/a/3.onnx"), 5, 50, 500, "mse", 0.25, 0.01, False, careful_drop=0.02
    )
    arrived = told(eta_seconds=1.5, message="so far", candidate=file, warning="slow")
    assert arrived == {
        "kind": "progress",
        "stage": "training",
        "fraction": 0.5,
        "step": 1,
        "total_steps": 2,
        "eta_seconds": 1.5,
        "message": "so far",
        "metrics": {},
        "warning": "slow",
        "candidate": {
            "index": 3,
            "path": "/a/3.onnx",
            "nodes": 5,
            "params": 50,
            "macs": 500,
            "metric_name": "mse",
            "validation_metric": 0.25,
            "validation_drop": 0.01,
            "within_budget": False,
            "external": [],
            "careful_drop": 0.02,
        },
    }


def test_numbers_that_json_lacks_arrive_as_none():
    lost = CandidateFile(0, Path("/a"), 1, 1, 1, "r2", math.nan, math.inf)
    arrived = told(metrics={"loss": math.nan, "rate": 0.5}, eta_seconds=math.inf, candidate=lost)
    assert (arrived["metrics"], arrived["eta_seconds"]) == ({"loss": None, "rate": 0.5}, None)
    candidate = arrived["candidate"]
    assert isinstance(candidate, dict)
    assert (candidate["validation_metric"], candidate["validation_drop"]) == (None, None)


TASKS = [
    Compression(
        engine="a:b",
        model=Path("/m.onnx"),
        data=Path("/d.npz"),
        options=DataOptions(label="y", labels={"task": "ctc"}),
        recipe={"seed": 1, "target": {"max_macs": 0.5}},
        work_dir=Path("/work"),
        output=Path("/out"),
    ),
    AnalysisTask(engine="a:b", model=Path("/m.onnx"), target=None, batch_size=None),
    AnalysisTask(
        engine="a:b", model=Path("/m"), data=Path("/d"), target={"max_macs": 0.5}, batch_size=4
    ),
]


@pytest.mark.parametrize("task", TASKS)
def test_a_task_arrives_as_it_was_given(task):
    assignment = Assignment(task=task)
    assert Assignment.model_validate_json(assignment.to_line()) == assignment


def test_a_task_with_a_field_that_nobody_knows_is_refused():
    with pytest.raises(ValidationError, match="colour"):
        AnalysisTask(engine="a:b", model=Path("/m"), target=None, batch_size=1, colour="red")


def test_of_data_only_what_was_said_is_passed_to_the_engine_beside_what_every_engine_takes():
    assert DataOptions().arguments() == {"label": None, "preprocessing": None}
    said = DataOptions(label="y", labels={"task": "ctc"}).arguments()
    assert said == {"label": "y", "preprocessing": None, "labels": {"task": "ctc"}}


def test_an_error_keeps_what_it_says_and_is_read_back_from_the_records_also_where_fields_are_missing():
    node = ErrorNode(name="n", op_type="Magic", domain="", opset=18)
    error = JobError(code="unsupported-operator", detail="?", pointer="#/model", node=node)
    assert JobError.model_validate(error.to_json()) == error
    assert error.to_json() == {
        "code": "unsupported-operator",
        "detail": "?",
        "retryable": False,
        "pointer": "#/model",
        "node": {"name": "n", "op_type": "Magic", "domain": "", "opset": 18},
    }
    assert JobError.model_validate({"detail": "old", "since": 2}) == JobError(detail="old")
