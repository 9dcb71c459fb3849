"""The benchmark of whole clips, small."""

import itertools
import json
import math
import os
import subprocess
import sys

import pytest

from benchmarks import clip
from tools.hosting.server import REPOSITORY
from tools.train import SMALL


@pytest.mark.one_host
def test_clips_are_timed_by_stage(host, tmp_path):
    numbers = tmp_path / "numbers.json"
    command = [sys.executable, REPOSITORY / "benchmarks" / "clip.py", "--host", host.name, "--device", "cpu"]
    command += ["--checkpoint", SMALL, "--width", "64", "--height", "64", "--frames", "4", "--steps", "2"]
    command += ["--clips", "2", "--distilled", "2", "1", "--official", "--json", numbers]
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ.copy(), timeout=600, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "4 frames of 64x64, 2 steps, seine-small.safetensors" in run.stdout
    for row in ("2", "2, 2 steps without cfg", "2, 1 step without cfg", "1, official, 250 steps"):
        assert f"| median of {row} |" in run.stdout
    found = json.loads(numbers.read_text())
    sets = [found["clips"], *found["others"].values()]
    assert list(map(len, sets)) == [2, 2, 2, 1]
    for seconds in itertools.chain(*sets):
        assert min(seconds.values()) > 0
        assert sum(seconds[stage] for stage in clip.STAGES) == pytest.approx(seconds["in all"])


def test_the_made_up_vae_is_stable_diffusion_s(run_in_host):
    shapes = run_in_host(REPOSITORY / "benchmarks" / "vae_in_host.py")
    assert sum(map(math.prod, shapes.values())) == 83_653_863
    assert shapes["decoder.conv_in.weight"] == [512, 4, 3, 3]
