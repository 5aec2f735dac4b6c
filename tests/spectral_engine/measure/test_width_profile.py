"""The blocks in which this machine's convolutions get slower: found by the clock, kept, and told by a lone script."""

import json
import os
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

from spectral_engine.measure import block_timing, width_profile
from spectral_engine.records.blocks import Blocks

WIDTHS = block_timing.WIDTHS


def stairs(block, slope=0.0):
    """Return times that rise by whole blocks, and a little with each channel."""
    return {width: -(-width // block) * block * 1.0 + slope * width for width in WIDTHS}


@pytest.mark.parametrize("block", [4, 8, 16, 32])
@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_the_block_is_what_half_of_which_saves_nothing(block, slope):
    assert block_timing.block_of(stairs(block, slope)) == block


def test_times_that_rise_with_each_channel_have_no_block():
    assert block_timing.block_of({width: float(width) for width in WIDTHS}) == 1


def test_odd_widths_that_take_longer_are_off_the_block():
    """One channel in two leaves the fast kernels, as on processors whose block is sixteen."""
    times = stairs(16) | {94: 200.0}
    assert block_timing.block_of(times) == 16


def test_the_models_that_are_timed_are_small_files_that_compute_something():
    by_kernel = width_profile.models()
    assert set(by_kernel) == {"3×3", "1×1"}
    x = np.random.default_rng(0).normal(size=block_timing.SHAPE).astype(np.float32)
    for by_width in by_kernel.values():
        assert sum(map(len, by_width.values())) < 20_000
        for width, model in by_width.items():
            answers = onnxruntime.InferenceSession(model).run(None, {"x": x})[0]
            assert answers.shape == (1, width, 14, 14)
            assert answers.std() > 0


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty place for what is kept, and a process that has measured nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    width_profile.blocks_here.cache_clear()
    yield tmp_path
    width_profile.blocks_here.cache_clear()


def test_what_was_measured_is_kept_for_the_next_process(cache):
    blocks = width_profile.blocks_here()
    assert blocks.convolution in {1, *block_timing.BLOCKS}
    assert blocks.measured_on == block_timing.machine()
    (path,) = cache.rglob("*.json")
    path.write_text(json.dumps({"convolution": 64, "measured_on": blocks.measured_on}))
    width_profile.blocks_here.cache_clear()
    assert width_profile.blocks_here().convolution == 64


def test_a_damaged_file_is_measured_over(cache):
    width_profile.blocks_here()
    (path,) = cache.rglob("*.json")
    path.write_text('{"convolution": ')
    width_profile.blocks_here.cache_clear()
    assert width_profile.blocks_here() == Blocks.model_validate_json(path.read_bytes())


def test_a_machine_that_keeps_no_files_measures_and_goes_on(tmp_path, monkeypatch):
    taken = tmp_path / "file"
    taken.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(taken))
    width_profile.blocks_here.cache_clear()
    assert width_profile.blocks_here().convolution >= 1
    width_profile.blocks_here.cache_clear()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may run a program as somebody else")
def test_a_user_without_a_home_keeps_it_among_temporary_files():
    program = (
        "import os; from spectral_engine.measure.width_profile import _folder; "
        "os.setuid(54321); print(_folder())"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={"TMPDIR": "/tmp", "PATH": os.environ["PATH"]},
    )
    assert told.stdout.strip() == "/tmp/eigenpress/widths"


def test_the_script_for_elsewhere_needs_numpy_and_onnxruntime_alone(tmp_path):
    """What it prints is what `prune.round_to` takes."""
    path = tmp_path / "profile_device.py"
    path.write_text(width_profile.script(), encoding="utf-8")
    alone = (
        "import runpy, sys\n"
        "for name in ('torch', 'onnx', 'pydantic', 'spectral_engine'):\n"
        "    sys.modules[name] = None\n"
        f"runpy.run_path({str(path)!r}, run_name='__main__')\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", alone],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert told.returncode == 0, told.stderr
    blocks = Blocks.model_validate_json(told.stdout)
    assert blocks.measured_on == block_timing.machine()
    assert blocks.convolution >= 1
