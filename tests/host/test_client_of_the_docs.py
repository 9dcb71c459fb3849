"""The client of docs/batches.md, run as it stands against a ComfyUI."""

import io
import json
import re
import subprocess
import sys

import av
import pytest

from tools.hosting import workflow_graph
from tools.hosting.model_files import SMALL_CFG, SMALL_MODEL
from tools.hosting.server import REPOSITORY

PAGES = [REPOSITORY / "docs" / name for name in ("batches.md", "batches.zh.md")]
PICTURE = REPOSITORY / "example_inputs" / "seine_red_ball.png"
PROMPT, FRAMES = "a red ball moves left over a green field", 4


def code_of(page):
    (code,) = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    return code


@pytest.fixture
def run(client, tmp_path):
    """Runs the client with a graph like the published one; what came of it, and the clip's path."""
    script, clip = tmp_path / "client.py", tmp_path / "clip.mp4"
    script.write_text(code_of(PAGES[0]), encoding="utf-8")

    def call(**changes):
        small = {"model_name": SMALL_MODEL, "base_name": "bundled", "cfg": SMALL_CFG, "steps": 2, "frames": FRAMES}
        graph = workflow_graph.with_size(workflow_graph.load("image_to_video"), 64, 64)
        workflow = tmp_path / "graph.json"
        workflow.write_text(json.dumps(workflow_graph.with_inputs(graph, **small | changes)), encoding="utf-8")
        command = [sys.executable, script, f"http://{client.address}", workflow, PICTURE, PROMPT, clip]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120), clip

    return call


def test_both_languages_show_the_same_twenty_lines():
    english, chinese = map(code_of, PAGES)
    assert english == chinese
    assert len([line for line in english.splitlines() if line]) == 20


@pytest.mark.one_host
def test_it_fetches_the_clip(run, client):
    ended, clip = run(seed=1616)
    assert ended.returncode == 0, ended.stderr
    with av.open(io.BytesIO(clip.read_bytes())) as video:
        assert len([*video.decode(video=0)]) == FRAMES
    (sent,) = (run["prompt"][2] for run in client.get("/history").json().values() if '"seed": 1616' in json.dumps(run))
    values = [value for node in sent.values() for value in node["inputs"].values()]
    assert PROMPT in values and PICTURE.name in values


@pytest.mark.one_host
def test_it_says_what_is_refused_or_fails(run):
    refused, clip = run(model_name="nowhere.safetensors")
    assert refused.returncode == 1 and "model_name: 'nowhere.safetensors' not in" in refused.stderr
    failed, _ = run(keyframe_places="99")
    assert failed.returncode == 1 and "not made: " in failed.stderr and "keyframe_places" in failed.stderr
    assert not clip.exists()
