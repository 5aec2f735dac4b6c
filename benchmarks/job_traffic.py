"""What one job asks of records, queue and store: statements, commands and bytes, counted on `eigenpress serve`.

    python -m benchmarks.job_traffic [--epochs 3 60]

Every process of the service counts its SQL statements by a hook of SQLAlchemy; the queue counts its own commands. What
the service asks while it rests is counted first, and taken off.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from benchmarks import rows
from benchmarks.dead_time import files, submit
from examples.demo import is_setting, ready_url, stop
from service.client import Client

REST_SECONDS = 20.0
# Python runs a module of this name when it starts; a process that is forked from another keeps its hook.
HOOK = """
import os
from sqlalchemy import Engine, event

@event.listens_for(Engine, "before_cursor_execute")
def count(connection, cursor, statement, *more):
    kind = statement.split(None, 1)[0].upper()
    log = os.open(os.environ["COUNTED_STATEMENTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, f"{kind}\\n".encode())
    os.close(log)

@event.listens_for(Engine, "commit")
def committed(connection):
    count(connection, None, "COMMIT")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--epochs", type=int, nargs="+", default=[3, 60])
    parser.add_argument("--dry", action="store_true", help="write no rows")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, data = files(folder)
        with serving(folder) as url, Client(url) as client:
            ids = client.models.create(model).id, client.datasets.create(data).id
            for epochs in given.epochs:
                row = measure(folder, client, ids, epochs)
                print(json.dumps(row), flush=True)
                if not given.dry:
                    rows.append("job_traffic", row)


def measure(folder: Path, client: Client, ids: tuple[str, str], epochs: int) -> dict[str, Any]:
    """Let the service rest, run one job, and return what it took beyond that."""
    time.sleep(REST_SECONDS / 2)
    before = counted(folder)
    time.sleep(REST_SECONDS)
    resting = counted(folder)
    rest = {name: (resting[name] - before[name]) / REST_SECONDS for name in resting}
    begun, job = submit(client, ids, epochs)
    job.wait().download_model(folder / "out.onnx")
    seconds = time.time() - begun
    after = counted(folder)
    taken = {name: after[name] - resting[name] - rest.get(name, 0) * seconds for name in after}
    return {
        "epochs": epochs,
        "seconds": seconds,
        "statements": {k[4:]: round(v) for k, v in taken.items() if k.startswith("sql ")},
        "queue_commands": round(sum(v for k, v in taken.items() if k.startswith("queue "))),
        "queue_pushes": round(taken.get("queue cmdstat_lpush", 0)),
        "artifact_bytes": round(taken["bytes artifacts"]),
        "database_bytes": round(taken["bytes database"]),
        "resting_statements_per_second": sum(v for k, v in rest.items() if k.startswith("sql ")),
        "resting_queue_commands_per_second": sum(
            v for k, v in rest.items() if k.startswith("queue ")
        ),
    }


def counted(folder: Path) -> Counter[str]:
    """Return what was counted until now, by what it is."""
    log, data = folder / "statements.log", folder / "data"
    counts = Counter(f"sql {kind}" for kind in log.read_text().split())
    broker = redis.Redis.from_url((data / "broker.url").read_text().strip())
    for name, told in broker.info("commandstats").items():
        counts[f"queue {name}"] = int(told["calls"])
    counts["bytes artifacts"] = _bytes(data / "artifacts")
    counts["bytes database"] = sum(file.stat().st_size for file in data.glob("eigenpress.db*"))
    return counts


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run `eigenpress serve` with a hook that counts; yield its URL."""
    hooks = folder / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK)
    inherited = {name: value for name, value in os.environ.items() if not is_setting(name)}
    paths = os.pathsep.join([str(hooks), os.environ.get("PYTHONPATH", "")])
    counting = {"PYTHONPATH": paths, "COUNTED_STATEMENTS": str(folder / "statements.log")}
    command = [sys.executable, "-m", "service.cli", "serve", "--port", "0"]
    with (folder / "serve.log").open("wb") as errors:
        process = subprocess.Popen(
            [*command, "--data-dir", str(folder / "data")],
            stdout=subprocess.PIPE,
            stderr=errors,
            env=inherited | counting,
            start_new_session=True,
        )
        try:
            yield ready_url(process, folder / "serve.log")
        finally:
            stop(process)


if __name__ == "__main__":
    main()
