"""`compress`: ONNX and data in, narrower ONNX and report out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from spectral_engine.job_clock import JobClock
from spectral_engine.judging.candidates import Finished
from spectral_engine.judging.facts import build_report
from spectral_engine.judging.seen_rows.look import look, needs_rehearsal
from spectral_engine.judging.seen_rows.rehearsal import rehearse, share_of_rehearsal
from spectral_engine.methods.candidate import Built
from spectral_engine.methods.policy import policy_of
from spectral_engine.planning import passes_of, plan, start_run
from spectral_engine.preparation.prepare import PreparedJob, prepare
from spectral_engine.records.data_facts import DataFacts
from spectral_engine.records.progress import OnProgress, ignore
from spectral_engine.records.recipe import Recipe
from spectral_engine.remote import on_this_machine
from spectral_engine.result import Candidate, ReportFile, Result
from spectral_engine.training.passes import Passes
from spectral_engine.unforeseen import unforeseen
from spectral_engine.work_dir import WorkDir

TRAINING_BEGINS, TRAINING_ENDS = 0.04, 0.94  # of the whole job's progress


def compress(
    model: str | Path | bytes,
    data: str | Path,
    recipe: Recipe | dict[str, Any] | str | None = None,
    on_progress: OnProgress = ignore,
    work_dir: Path | None = None,
    **facts: Unpack[DataFacts],
) -> Result:
    """Retrain a model in spectral space, remove the nodes that do not matter, and report what it cost.

    `model` is an ONNX file or its bytes, `data` an .npz, .csv or .parquet file, or images: a folder, .zip or .tar.
    Both may be `https://…` or `s3://…`: these are copied first, into the `work_dir` where there is one.
    With a `work_dir`, checkpoints are written there, and a second call with the same arguments resumes from them and
    gives the same result. `facts` are what is known of the data (`DataFacts`); what the recipe says wins over it.
    Raises an EngineError that names the field, the node or the row, before training starts where it can be known;
    RankLost, which is worth a second call, where a process of one of several devices ends.
    """
    tell, asked = JobClock(on_progress), Recipe.parse(recipe)
    with unforeseen(lambda: tell.stage.replace("_", " "), tell.is_callers):
        tell("importing", 0.0)
        with (
            on_this_machine(model, "model", work_dir) as model_here,
            on_this_machine(data, "data", work_dir) as data_here,
        ):
            job = prepare(model_here, data_here, asked, **facts)
            if asked.training.epochs > 0:
                job.objective.refuse_untrainable()
            folder = WorkDir(work_dir)
            with passes_of(job, folder.path) as passes:
                return _compress(job, tell, folder, passes)


def _compress(job: PreparedJob, tell: JobClock, folder: WorkDir, passes: Passes) -> Result:
    started = time.time()
    planned = replace(plan(job, folder.path, ignore, resumable=folder.stays), passes=passes)
    tell("measuring_baseline", TRAINING_BEGINS / 2)
    baseline = job.evaluation.validation_metric(job.original)
    memory = look(job, planned.work_dir if planned.resumable else None, tell.send)
    wanted = needs_rehearsal(job, memory)
    rest = (TRAINING_ENDS - TRAINING_BEGINS) * (share_of_rehearsal(planned) if wanted else 0.0)
    run_clock = tell.within(TRAINING_BEGINS, TRAINING_ENDS - rest)
    run = start_run(job, replace(planned, on_progress=run_clock))
    built = run.run()
    if wanted:
        again = tell.within(TRAINING_ENDS - rest, TRAINING_ENDS)
        memory = replace(memory, rehearsal=rehearse(job, planned, again))
    elif nothing_keeps_the_floor(job, built):
        first_way = len(built)
        if may_go_gently(job.recipe):
            built = run.run_gently()
        if nothing_keeps_the_floor(job, built[first_way:]):
            run.keep_original()
    seconds = time.time() - started
    tell("verifying", TRAINING_ENDS)
    report = build_report(Finished(job, run, baseline, memory, started, seconds))
    tell("reporting", 1.0)
    candidates = (
        Candidate(entry, item.path, item.external, folder)
        for entry, item in zip(report.candidates, built, strict=True)
    )
    return Result(tuple(candidates), ReportFile(report))


def nothing_keeps_the_floor(job: PreparedJob, built: Sequence[Built]) -> bool:
    """Say whether each candidate's drop on validation rows is above what is allowed by more than a standard error.

    Only where nothing but the floor is asked for: the original meets no budget.
    """
    target, evaluation = job.recipe.target, job.evaluation
    floor = target.max_metric_drop
    if floor is None or target.narrowing or target.density is not None:
        return False
    return all(evaluation.validation_drop(item.opened).interval.low > floor for item in built)


def may_go_gently(recipe: Recipe) -> bool:
    """Say whether another rate and another end are ours to choose, and the uploaded weights are where to begin."""
    open_rate = recipe.training.learning_rate is None and recipe.spectral.init != "fresh"
    return policy_of(recipe).may_go_gently and open_rate
