"""Imports go one way: the rules refuse what they are there to refuse, and what starts often stays light."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINTER = Path(sys.executable).parent / "lint-imports"
TRAINS = ("torch", "onnx", "onnx_ir", "onnxruntime", "scipy", "pyarrow", "numpy")
WEB = ("fastapi", "starlette", "uvicorn")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, where they may be spoilt."""
    folder = tmp_path_factory.mktemp("copy")
    for package in ("spectral_engine", "service", "worker", "examples", "benchmarks", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [LINTER, "--cache-dir", folder / "cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_sources_keep_the_rules(copy: Path):
    done = lint(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("spectral_engine/graph/loading.py", "import service.settings"),
        ("spectral_engine/graph/loading.py", "import worker.app"),
        ("spectral_engine/graph/loading.py", "import sqlalchemy"),
        ("spectral_engine/graph/loading.py", "import celery"),
        ("spectral_engine/graph/loading.py", "import fastapi"),
        ("spectral_engine/graph/operators/control_flow.py", "import spectral_engine.graph.plan"),
        ("spectral_engine/graph/operators/axes.py", "import spectral_engine.graph.operators.shape"),
        ("spectral_engine/graph/step.py", "import spectral_engine.graph.placement"),
        ("spectral_engine/data/images/names.py", "import spectral_engine.data.reading.arrays"),
        ("service/store/events/records.py", "import service.store.jobs.records"),
        ("worker/runner.py", "import worker.tasks"),
        ("spectral_engine/records/recipe.py", "import torch"),
        ("service/store/database.py", "import spectral_engine.compression"),
        ("service/store/database.py", "import spectral_engine.errors"),
        ("service/store/database.py", "import service.api.text"),
        ("service/store/database.py", "import worker.app"),
        ("spectral_engine/graph/step.py", "import examples.demo"),
        ("examples/specimens/wrecks.py", "import tests.support.digits"),
        ("tests/support/digits.py", "import benchmarks.digits"),
        ("benchmarks/digits.py", "import tests.support.digits"),
        ("service/store/database.py", "import fastapi"),
        ("service/settings.py", "import torch"),
        ("service/job_notifier.py", "import celery"),
        ("service/processes/supervised.py", "import worker.main"),
        ("service/cli/serve.py", "import worker.main"),
        ("service/api/operations.py", "import service.api.document"),
        ("service/api/app.py", "import worker.app"),
        ("service/api/app.py", "import celery"),
        ("service/api/app.py", "import torch"),
        ("service/api/app.py", "import spectral_engine.compression"),
        ("service/client/client.py", "import torch"),
        ("service/client/client.py", "import service.api.app"),
        ("service/client/client.py", "import spectral_engine.graph.loading"),
        ("service/cli/main.py", "import celery"),
        ("worker/runner.py", "import service.api.app"),
        ("worker/runner.py", "import service.client"),
        ("worker/runner.py", "import fastapi"),
    ],
)
def test_the_rules_refuse(copy: Path, file: str, line: str):
    source = copy / file
    sound = source.read_text()
    source.write_text(f"{sound}\n{line}\n")
    try:
        done = lint(copy)
    finally:
        source.write_text(sound)
    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (
            "service.api.app, service.api.server",
            (*TRAINS, "celery", "worker", "alembic", "mako", "jinja2"),
        ),
        ("service.client", (*TRAINS, *WEB, "celery", "worker", "sqlalchemy", "service.store")),
        (
            "service.cli.main, service.cli.app",
            (*TRAINS, *WEB, "celery", "worker", "sqlalchemy", "pydantic"),
        ),
        ("service.store.records, service.store.database", (*TRAINS, *WEB, "celery", "worker")),
        (
            "spectral_engine.records.recipe, spectral_engine.records.report",
            (*TRAINS, "service", "worker"),
        ),
        ("worker.main, worker.tasks, worker.runner", (*TRAINS, *WEB, "service.api")),
    ],
)
def test_what_starts_often_loads_nothing_heavy(modules: str, heavy: tuple[str, ...]):
    code = f"import sys, {modules}; print([m for m in {heavy!r} if m in sys.modules])"
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert completed.stdout.strip() == "[]"


def test_the_engine_loads_what_few_jobs_need_only_for_those():
    rare = ("scipy.stats", "scipy.optimize", "pyarrow", "rapidfuzz", "jinja2", "torch._dynamo")
    code = f"import sys, spectral_engine; spectral_engine.compress; print([m for m in {rare!r} if m in sys.modules])"
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert completed.stdout.strip() == "[]"
