"""The report, version 1: everything that a compression claims, with the numbers to check it.

Imports no torch: the API serves reports and their JSON Schema without it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spectral_engine.records.method import METHODS
from spectral_engine.records.plan import Amounts, LayerWidth, Plan
from spectral_engine.records.section import Section
from spectral_engine.records.seen_rows import Rehearsed, SeenRows
from spectral_engine.records.target import Target

Outcome = Literal["target_met", "target_not_met", "no_gain"]
Speed = Literal["faster", "same", "slower"]
FloorStatus = Literal["shown", "not_shown", "not_reached", "left_out"]


class Interval(Section):
    """A two-sided confidence interval."""

    low: float
    high: float
    confidence: float


class MetricValue(Section):
    """The metric on held-out rows, with its interval; `per_class` where classes exist.

    `against` says what the answers are compared with. A baseline that is compared with itself has no uncertainty: its
    interval is the value, by definition.
    """

    name: str
    value: float
    interval: Interval
    rows: int
    higher_is_better: bool
    against: Literal["labels", "original"] = "labels"
    per_class: dict[str, float] | None = None


class Latency(Section):
    """Time of one call in onnxruntime, interleaved with the baseline's; samples in milliseconds.

    Processor time where one thread does the work, which is what a call takes on a machine at rest; else wall time.
    """

    batch_size: int
    median_ms: float
    samples_ms: list[float]
    threads: int
    provider: str


class Measurement(Section):
    """One model, measured: the baseline or a candidate."""

    metric: MetricValue | None = Field(
        None, description="on the held-out rows; None where not measured"
    )
    validation_metric: float
    nodes: int = Field(description="prunable nodes that the model has")
    params: int
    macs: int = Field(description="multiply-adds of one sample")
    file_bytes: int
    sha256: str
    latency: list[Latency] = Field(default_factory=list)


class Drop(Section):
    """How much worse than the baseline, in the metric's own unit; paired over the same rows."""

    value: float
    interval: Interval
    method: str = Field(description="how the interval was computed")


class FloorTest(Section):
    """Whether held-out rows show that the metric drops by no more than the target allows.

    Candidates are tested one after the other, from wide to narrow, until one fails: the chance that any of those shown
    is truly worse than the floor is at most 1 − confidence. `p_value` and `upper_bound` are of this candidate alone.
    """

    floor: float = Field(description="max_metric_drop")
    confidence: float
    status: FloorStatus = Field(
        description="shown; not_shown: its test failed; not_reached: a wider candidate failed before it; "
        "left_out: it exceeds a budget, or a narrower candidate was no worse on validation rows"
    )
    position: int | None = Field(description="in the order of the tests, from 1")
    p_value: float = Field(
        description="chance of rows that speak so well for it, were the true drop at the floor or above"
    )
    upper_bound: float = Field(description="of the true drop, one-sided, at this confidence")
    rows: int
    rows_needed: int | None = Field(
        None,
        description="about how many held-out rows would show it, if the drop stays as measured",
    )
    method: str
    asymptotic: bool = Field(description="True where the confidence holds for many rows only")


class Speedup(Section):
    """Baseline's time over the candidate's, paired sample by sample."""

    batch_size: int
    ratio: float
    interval: Interval
    verdict: Speed


class Exactness(Section):
    """Masked against cut in onnxruntime on the user's samples, and on as many numbers in other shapes."""

    max_abs_difference: float
    max_abs_output: float
    tolerance: float
    ill_conditioned: int = Field(
        0,
        description="answers that differ by more than the tolerance of the largest output, and by no more than moving"
        " each weight by that share moves this very answer: as log(1 - p) where p is almost 1",
    )
    samples: int
    shapes: int = Field(
        1,
        description="shapes of inputs at which both were run: the samples' own, other batches and free lengths",
    )


class TransferLinks(Section):
    """The links of one transfer: the entries of its weight that are not 0, of those that the uploaded model has."""

    transfer: str
    before: int
    after: int
    asked_density: float
    density: float


class Links(Section):
    """What is left of a model's links: an entry of a kernel is a link of its own.

    Runtimes compute zeros as well: what is not there saves time only where a runtime makes use of it. Latency is
    measured as for every other model.
    """

    pattern: str
    distribution: str
    asked_density: float
    density: float = Field(description="links that stay, of those that could go")
    before: int = Field(description="links of the transfers whose links could go")
    after: int
    zeros: int = Field(
        description="zeros in the weights of those transfers in the candidate's file"
    )
    dead_nodes: int = Field(description="nodes without links on one side, removed from the file")
    effective_params: int = Field(description="parameters but for those zeros")
    effective_macs: int = Field(description="multiply-adds of one sample but for those with a zero")
    transfers: list[TransferLinks]


class CandidateEntry(Section):
    """One compressed model of the path from wide to narrow."""

    id: str
    measurement: Measurement
    drop: Drop | None = Field(None, description="on held-out rows; None where not measured")
    rehearsed: Rehearsed | None = Field(
        None, description="where the original has seen the held-out rows, or there are signs of it"
    )
    floor_test: FloorTest | None = Field(
        None,
        description="None without max_metric_drop; by what seen_rows.decided_by names",
    )
    other_outputs: dict[str, MetricValue] = Field(
        default_factory=dict,
        description="outputs that are not judged, by name: what held-out rows keep of the original's answers there",
    )
    validation_drop: float
    cooling_steps: int = Field(
        0,
        description="training steps at a falling rate at its end; fewer than of others where it exceeds the budget "
        "and is not trained to its end (prune.finish)",
    )
    speedups: list[Speedup] = Field(default_factory=list)
    exactness: Exactness
    links: Links | None = Field(None, description="where links were removed")
    widths: list[LayerWidth]
    meets_target: bool
    chosen: bool = False


class TransferSpectrum(Section):
    """|λ_out| of a transfer: before the training by original index, after it of the nodes that stay."""

    transfer: str
    before: list[float]
    after: list[float]
    kept: list[int] = Field(description="original indices of the nodes that stay")


class NodeRelevance(Section):
    """One node, by its original index in its layer."""

    layer: str
    index: int
    eigenvalue: float = Field(description="|λ_out| when it was last trained")
    relevance: float = Field(description="the score that ranked it when it was last ranked")
    kept: bool
    removed_at_step: int | None = None


class InputRelevance(Section):
    """What the chosen model looks at: every feature of one float input, in the input's own shape without the batch.

    An eigenvalue λ_in on each feature is trained from 1 towards 0 under a rising penalty, the weights fixed; a value is
    the mean over rows and over that training of |λ_in ∂ℓ/∂λ_in|, with ℓ the distance to the model's own answers.
    """

    input: str
    shape: list[int]
    values: list[float] = Field(description="shares: over all inputs they sum to 1")
    feature_names: list[str] | None = None


class PathPoint(Section):
    """One moment of training."""

    step: int
    epoch: float
    nodes: int
    params: int
    macs: int
    loss: float | None = None
    validation_metric: float | None = None


class TopologyPoint(Section):
    """One change of the links while training."""

    step: int
    epoch: float
    links: int
    grown: int = Field(description="links that came with this change")
    dropped: int = Field(description="links that went with it")
    new_since_start: float = Field(
        description="share of links that the starting weights would not have kept by their size"
    )
    reentered: int = Field(description="links that came back after they had gone, up to here")
    densities: list[float] = Field(description="of each transfer, in the order of the candidate's")


class Untouched(Section):
    """What was not narrowed, and why."""

    layer: str
    nodes: int
    reason: str


class TriedReading(Section):
    """Another way to read the labels that fits their shape, and what the original knows under it."""

    reading: str
    original: str


class DataMeaning(Section):
    """How labels and answers go together, as it was understood before anything trained."""

    task: str
    output: str = Field(description="the model's output that the labels are for")
    reading: str
    answers: str = Field(description="classes, scores (above the threshold: yes) or numbers")
    form: str = Field(description="logits, probabilities, log_probabilities or values")
    class_axis: int | None = Field(
        None, description="of the answers, counted with the rows' axis as 0"
    )
    places: list[int] = Field(
        default_factory=list, description="shape of a row's labels; empty for one a row"
    )
    threshold: float | None = None
    classes: list[str] | None = Field(None, description="in the order of the model's outputs")
    order: str | None = Field(None, description="how the order of the classes is known")
    ignore: float | str | None = Field(None, description="label value that is not counted")
    original: str | None = Field(
        None, description="what the original knows of training rows, read so"
    )
    why: list[str] = Field(default_factory=list)
    tried: list[TriedReading] = Field(default_factory=list)


class DataSummary(Section):
    """The data as it was used."""

    sha256: str
    train_rows: int
    validation_rows: int
    test_rows: int
    split: Literal["given", "random"]
    label: str | None = None
    classes: list[str] | None = None
    notes: list[str] = Field(default_factory=list)
    meaning: DataMeaning | None = None


class Provenance(Section):
    """What made this report."""

    engine_version: str
    versions: dict[str, str]
    seed: int
    device: str
    model_sha256: str
    dataset_sha256: str
    started_at: str
    finished_at: str
    training_seconds: float
    trained_parameters: int


class Report(Section):
    """A compression, told whole."""

    schema_version: Literal["1.0"] = "1.0"
    outcome: Outcome
    outcome_reason: str
    binding_constraint: str | None = None
    method: str
    recipe: dict[str, object] = Field(description="as executed: every default filled in")
    task: str
    baseline: Measurement
    candidates: list[CandidateEntry] = Field(
        description="from wide to narrow, walk after walk; the original last where it is handed back"
    )
    chosen: str = Field(description="id of the chosen candidate")
    spectra: list[TransferSpectrum]
    relevance: list[NodeRelevance]
    input_relevance: list[InputRelevance] = Field(default_factory=list)
    path: list[PathPoint]
    topology: list[TopologyPoint] = Field(
        default_factory=list, description="how the links changed, where they could"
    )
    untouched: list[Untouched] = Field(default_factory=list)
    data: DataSummary
    seen_rows: SeenRows | None = Field(
        None,
        description="whether the original has seen the rows that judge it; None in reports of before",
    )
    warnings: list[str] = Field(default_factory=list)
    provenance: Provenance

    def chosen_candidate(self) -> CandidateEntry:
        """Return the candidate that was chosen."""
        return next(entry for entry in self.candidates if entry.id == self.chosen)

    def plan(self) -> Plan:
        """Return what was removed to get the chosen candidate, in the form in which an analysis plans it."""
        chosen, before = self.chosen_candidate(), _amounts(self.baseline)
        known = (
            self.method in METHODS.names()
        )  # a report may come from a program with methods of its own
        ranked = METHODS.get(self.method).ranked_by(self.recipe) if known else None
        target = Target.model_validate(self.recipe.get("target")) if ranked else Target()
        return Plan(
            score=ranked.score if ranked else None,
            seen=ranked.seen if ranked else "run",
            layers=chosen.widths,
            before=before,
            after=_amounts(chosen.measurement),
            limits=target.amounts(before.of),
        )


def _amounts(measured: Measurement) -> Amounts:
    return Amounts(
        nodes=measured.nodes,
        params=measured.params,
        macs=measured.macs,
        file_bytes=measured.file_bytes,
    )
