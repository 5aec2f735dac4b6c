"""How far a run is, told step by step."""

from __future__ import annotations

from typing import Any

from spectral_engine.methods.candidate import Built
from spectral_engine.methods.run_plan import RunPlan
from spectral_engine.records.progress import CandidateFile, Progress, Stage


class Teller:
    """Turns steps of trunk and branches into the share of the whole that is done."""

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan

    def tell(
        self,
        stage: Stage,
        message: str = "",
        *,
        step: int,
        cooled: int,
        branch_step: int = 0,
        **news: Any,
    ) -> None:
        """Tell how many steps the trunk has done, how many branches all of theirs, and the next branch."""
        schedule = self.plan.schedule
        total = schedule.total_steps
        done = step + cooled * schedule.cooling_steps + branch_step
        if not total:  # nothing trains: candidates are all there is to count
            total, done = schedule.candidates, cooled
        done = min(done, total)  # an original that is kept comes after the last
        self.plan.on_progress(
            Progress(
                stage,
                fraction=done / total,
                step=done,
                total_steps=total,
                message=message,
                **news,
            )
        )

    def announce(self, built: Built, *, step: int, cooled: int) -> None:
        """Tell of a candidate that is finished and saved."""
        drop = self.plan.drop_of(built.opened)  # of the answers that gave its metric
        file = CandidateFile(
            index=built.index,
            path=built.path,
            external=built.external,
            nodes=built.cost.nodes,
            params=built.cost.params,
            macs=built.cost.macs,
            metric_name=self.plan.metric_name,
            validation_metric=built.validation_metric,
            validation_drop=drop.value,
            within_budget=not self.plan.asked.exceeded_by(built.effective_cost),
            careful_drop=drop.interval.high,
        )
        self.tell("exporting", step=step, cooled=cooled, candidate=file)
