"""The client of ComfyUI's own interface in docs/batches.md, as it stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import av
import pytest

from tests.conftest import REPOSITORY, SAMPLE_MODEL

SMALL = {"model_name": SAMPLE_MODEL, "base_name": "bundled", "width": 64, "height": 64, "frames": 4, "steps": 2}


@pytest.mark.one_host
def test_it_makes_a_clip(client, tmp_path):
    (code,) = re.findall(
        r"```python\n(.*?)```", (REPOSITORY / "docs/batches.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert len([line for line in code.splitlines() if line.strip()]) <= 22
    (tmp_path / "client.py").write_text(code, encoding="utf-8")
    graph = json.loads((REPOSITORY / "workflows/api/text_to_video.json").read_text(encoding="utf-8"))
    for node in graph.values():
        node["inputs"] |= {name: value for name, value in SMALL.items() if name in node["inputs"]}
    (tmp_path / "graph.json").write_text(json.dumps(graph))
    command = [sys.executable, "client.py", f"http://{client.address}", "graph.json", "a lake", "lake.mp4"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    with av.open(str(tmp_path / "lake.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == SMALL["frames"]
    (made,) = [run for run in client.get("/history").json().values() if "a lake" in json.dumps(run["prompt"])]
    assert made["status"]["status_str"] == "success"
