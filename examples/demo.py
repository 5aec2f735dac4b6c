"""Compress real models through the service, from upload to report, and stop what was started.

python -m examples.demo [perceptron] [convnet]
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from examples.train_models import DEFAULT_FOLDER, SPECIFICATIONS, Example, make_example
from service.cli.jobs import follow
from service.cli.progress import StageBar
from service.client import Client, Job
from spectral_engine.records.report import Report
from spectral_engine.report.terminal import render_terminal

RECIPE = {"method": "prune", "target": {"max_metric_drop": 0.01}, "seed": 0}
STOP_SECONDS = 30.0
console = Console()


def main(names: list[str]) -> None:
    """Train, serve, compress and tell."""
    console.rule("Eigenpress: ONNX in, narrower ONNX out")
    examples = [make_example(name, DEFAULT_FOLDER) for name in names]
    with serving(DEFAULT_FOLDER / "serve.log") as url, Client(url) as client:
        console.print(f"the service answers at {url}")
        for example in examples:
            compress(client, example)
    console.print("the service is stopped")


def compress(client: Client, example: Example) -> None:
    """Upload, submit, watch, download, and print what came of it."""
    console.rule(example.name)
    model = client.models.create(example.model)
    data = client.datasets.create(example.data)
    job = client.jobs.create(model=model.id, dataset=data.id, recipe=RECIPE)
    console.print(f"{model.id} and {data.id} are uploaded, {job.id} is submitted")
    begun = time.monotonic()
    watch(job)
    places = download(job, example)
    report = Report.model_validate_json(places["json"].read_text("utf-8"))
    render_terminal(report, console)
    console.print(f"in {time.monotonic() - begun:.0f} s; compressed model: {places['onnx']}")
    console.print(f"report, to open in a browser: [bold]{places['html'].resolve()}[/bold]")


def watch(job: Job) -> None:
    """Show the job's events as they come; raises JobFailed where it failed."""
    with StageBar() as bar:
        follow(job, bar)
    job.wait()


def download(job: Job, example: Example) -> dict[str, Path]:
    """Download the model and the report in every form; return the paths by suffix."""
    folder = example.model.parent
    # The first example's report is the one to look at: report.html, as the README says.
    stem = "report" if example.name == next(iter(SPECIFICATIONS)) else f"{example.name}-report"
    reports = {suffix: folder / f"{stem}.{suffix}" for suffix in ("json", "html", "csv")}
    for path in reports.values():
        job.download_report(path)
    onnx = job.download_model(folder / f"{example.name}-compressed.onnx")
    return {"onnx": onnx, **reports}


@contextmanager
def serving(log: Path) -> Iterator[str]:
    """Run `eigenpress serve` on a free port with a folder of its own; yield its URL."""
    with (
        tempfile.TemporaryDirectory(prefix="eigenpress-demo-") as folder,
        log.open("wb") as errors,
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "serve", "--port", "0", "--data-dir", folder],
            stdout=subprocess.PIPE,
            stderr=errors,
            env={name: value for name, value in os.environ.items() if not is_setting(name)},
            start_new_session=True,  # Ctrl-C comes to this process, which stops the service itself
        )
        try:
            yield ready_url(process, log)
        finally:
            stop(process)


def is_setting(name: str) -> bool:
    """Tell a setting of the service: the demo runs in its embedded form whatever is set."""
    return name.startswith("EIGENPRESS_")


def ready_url(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the URL that the service prints when it is ready."""
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    if "http://" not in line:
        raise RuntimeError(f"the service did not start:\n{log.read_text()}")
    return next(word for word in line.split() if word.startswith("http://"))


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the service to stop, and end it if it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


if __name__ == "__main__":
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # so that the service is stopped then too
    try:
        main(sys.argv[1:] or list(SPECIFICATIONS))
    except KeyboardInterrupt:
        console.print("interrupted; everything is stopped")
        sys.exit(130)
