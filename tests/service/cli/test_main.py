"""The command line as a whole."""

import inspect
import json
import subprocess
import sys
from importlib import import_module

import pytest
from typer.testing import CliRunner

from service.cli.app import app
from service.cli.commands import COMMANDS

PARSERS = ("typer", "rich", "inspect", "dataclasses", "json", "asyncio")
LIBRARIES = ("torch", "onnx", "onnxruntime", "fastapi", "sqlalchemy", "celery", "pydantic", "numpy")


def loaded(code: str, *arguments: str) -> set[str]:
    """Return the modules that a program has loaded at its end, but for those of an empty one."""
    tell = "import atexit, sys; atexit.register(lambda: print(*sys.modules, sep='\\n', file=sys.stderr))"
    lists = [
        subprocess.run(
            [sys.executable, "-c", f"{tell}; {program}", *arguments],
            capture_output=True,
            text=True,
            check=True,
        ).stderr.split()
        for program in (code, "pass")
    ]
    return set(lists[0]) - set(lists[1])


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_the_list_of_commands_loads_no_library_at_all(option):
    modules = loaded("from service.cli.main import main; main()", option)
    assert "service.cli.commands" in modules
    assert modules.isdisjoint({*LIBRARIES, *PARSERS})


def test_the_help_of_a_command_loads_none_that_computes(run):
    modules = loaded("from service.cli.main import main; main()", "compress", "--help")
    assert "service.cli.compress" in modules
    assert "service.cli.jobs" not in modules
    assert modules.isdisjoint({*LIBRARIES} - {"pydantic"})


@pytest.mark.parametrize(("name", "command"), COMMANDS.items())
def test_the_list_says_of_a_command_what_it_says_of_itself(name, command):
    function = getattr(import_module(f"service.cli.{command.file}"), command.function)
    assert inspect.getdoc(function).splitlines()[0] == command.summary


def test_the_list_is_the_same_on_every_way_to_it(run):
    listed = run("--help")
    assert listed.returncode == 0
    asked_for_nothing = run()
    assert asked_for_nothing.returncode == 2
    assert asked_for_nothing.stdout == run("-h").stdout == listed.stdout
    assert (
        CliRunner().invoke(app, ["--help"], terminal_width=200).stdout.split()
        == listed.stdout.split()
    )


def test_a_reader_of_the_list_may_leave_early():
    shell = f"{sys.executable} -m service.cli --help | head -1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("Usage: eigenpress")
    assert ended.stderr == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_listed_and_explains_itself(run, command):
    assert f" {command} " in run("--help").stdout
    told = run(command, "--help")
    assert told.returncode == 0
    assert "Usage:" in told.stdout


def test_the_version_is_the_distributions(run):
    from importlib.metadata import version

    assert run("--version").stdout == f"eigenpress {version('eigenpress')}\n"


def test_no_such_command_is_wrong_use(run):
    ended = run("comprss")
    assert ended.returncode == 2
    assert "Did you mean 'compress'" in ended.stderr


def test_doctor_looks_at_everything_that_a_job_needs(run):
    ended = run("doctor", "--json")
    told = json.loads(ended.stdout)
    assert ended.returncode == 0, told
    names = [check["name"] for check in told["checks"]]
    assert names == ["python", "torch", "onnxruntime", "queue", "disk", "job limits", "gpu"]


def test_doctor_fails_where_nothing_can_be_written(run, tmp_path):
    taken = tmp_path / "a-file"
    taken.write_text("")
    ended = run("doctor", "--json", EIGENPRESS_DATA_DIR=str(taken))
    disk = next(c for c in json.loads(ended.stdout)["checks"] if c["name"] == "disk")
    assert not disk["ok"]
    assert ended.returncode == 1


def test_a_server_that_is_not_there_is_named_in_one_sentence(run):
    ended = run("jobs", "--server", "http://127.0.0.1:1")
    assert ended.returncode == 1
    assert "eigenpress serve" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_analyze_tells_the_layers_that_can_be_narrowed(run, model):
    ended = run("analyze", model, "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["layers"]


def test_analyze_with_data_says_what_they_mean(run, model, data):
    checked = json.loads(run("analyze", model, "--data", data, "--json").stdout)["data"]
    assert checked["meaning"]["task"] == "classification"
    page = run("analyze", model, "--data", data, "--labels", '{"task": "classification"}').stdout
    assert "removable" in page
    assert checked["meaning"]["reading"] in page


def test_analyze_says_that_a_target_is_feasible(run, model):
    ended = run("analyze", model, "--max-macs", "0.5", "--keep-nodes", "0.9")
    assert ended.returncode == 0, ended.stderr
    assert "target: feasible: " in ended.stdout
    assert "plan: " in ended.stdout
    assert "(2,928 allowed)" in ended.stdout


def test_analyze_ends_with_3_and_names_the_limit_that_no_cut_can_meet(run, model):
    ended = run("analyze", model, "--max-params", "0.0001", "--json")
    assert ended.returncode == 3, ended.stderr
    told = json.loads(ended.stdout)["target"]
    assert told["feasible"] is False
    assert "max_params" in told["reason"]


@pytest.mark.parametrize(
    ("option", "limit"), [("--max-bytes", "10"), ("--max-latency-ms", "0.001")]
)
def test_analyze_ends_with_3_for_a_file_or_a_time_that_no_cut_can_reach(run, model, option, limit):
    ended = run("analyze", model, option, limit, "--json")
    assert ended.returncode == 3, ended.stderr
    told = json.loads(ended.stdout)["target"]
    assert option.lstrip("-").replace("-", "_") in told["reason"]


@pytest.mark.parametrize(
    ("option", "limit", "feasible"),
    [
        ("--max-macs", "5M", True),
        ("--max-macs", "5000000", True),
        ("--max-macs", "2", False),
        ("--max-params", "50%", True),
        ("--max-bytes", "500kB", True),
        ("--max-bytes", "0.01kB", False),
        ("--keep-nodes", "50%", True),
        ("--max-latency", "1000ms", True),
        ("--max-latency", "0.000001ms", False),
        ("--max-latency-ms", "1s", True),
    ],
)
def test_analyze_takes_shares_and_amounts(model, option, limit, feasible):
    ended = CliRunner().invoke(app, ["analyze", str(model), option, limit, "--json"])
    assert json.loads(ended.stdout)["target"]["feasible"] is feasible
    assert ended.exit_code == (0 if feasible else 3)


@pytest.mark.parametrize(
    ("option", "limit", "way"),
    [
        ("--max-macs", "5ms", "5M"),
        ("--max-bytes", "5M", "500kB"),
        ("--max-latency", "5MB", "0.5ms"),
        ("--max-params", "150%", "50%"),
        ("--keep-nodes", "2", "1"),
    ],
)
def test_a_limit_that_does_not_fit_is_refused_with_the_ways_to_write_it(
    run, model, option, limit, way
):
    ended = run("analyze", model, option, limit)
    assert ended.returncode == 2
    assert option in ended.stderr
    assert way in ended.stderr


def test_every_field_of_a_target_is_an_option(run):
    from spectral_engine.records.target import Target

    for command in ("compress", "submit"):
        told = run(command, "--help").stdout
        for field in Target.model_fields:
            assert f"--{field.replace('_', '-')} " in told.replace(",", " ")


def test_analyze_offers_the_targets_that_narrowing_can_meet_and_no_other(run):
    told = run("analyze", "--help").stdout.replace(",", " ")
    for option in (
        "max-macs",
        "max-params",
        "max-bytes",
        "max-latency-ms",
        "max-latency",
        "keep-nodes",
    ):
        assert f"--{option} " in told
    for option in ("max-metric-drop", "density", "confidence"):
        assert f"--{option}" not in told


def test_profile_prints_what_round_to_takes_and_a_program_for_other_devices(run):
    profile = json.loads(run("profile").stdout)
    assert profile["convolution"] >= 1
    assert "onnxruntime" in profile["measured_on"]
    program = run("profile", "--script").stdout
    compile(program, "profile_device.py", "exec")
    assert "spectral_engine" not in program
