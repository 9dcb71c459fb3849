"""Batches on Ray: two ComfyUIs on this machine, one of them and one actor killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.tools.jobs.pictures import picture
from tests.tools.test_batch import COMMAND, SETTINGS, environment, gone, wait_until

JOBS = 8


@pytest.mark.one_host
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends hosts with their parent on Linux alone")
def test_what_is_killed_is_started_again_and_nothing_is_lost_or_made_twice(host, tmp_path):
    for number in range(JOBS):
        picture(tmp_path / f"{number}.png", 20 * number)
    rows = [{"id": f"clip {n}", "images": [f"{n}.png"], "seed": n} for n in range(JOBS)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "out"
    command = [*COMMAND, "rows.jsonl", "--output", "out", "--engine", "ray", "--hosts-per-gpu", "2", "--device", "cpu"]
    command += ["--host", host.name, "--checkpoint", "seine-small.safetensors"]
    command += [part for name, value in (SETTINGS | {"steps": 12}).items() for part in ("--set", f"{name}={value}")]

    def events(name):
        file = out / "events.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == name]

    with (
        open(tmp_path / "log", "wb") as log,
        subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=log, stderr=log) as run,
    ):
        wait_until(lambda: events("made") or run.poll() is not None, 400)
        first, second = events("host")[:2]
        os.kill(first["process"], signal.SIGKILL)
        os.kill(second["actor"], signal.SIGKILL)
        wait_until(lambda: gone(second["process"]), 30)  # a host ends with its actor
        run.wait(400)
    said = (tmp_path / "log").read_text()
    assert run.returncode == 0 and f"{JOBS} made, 0 already there, 0 failed" in said, said
    clips = sorted(out.glob("*.mp4"))
    assert len({clip.read_bytes() for clip in clips}) == len(clips) == JOBS
    assert len(events("made")) == JOBS and len({event["id"] for event in events("made")}) == JOBS
    assert not list(out.rglob(".*.part"))
    for event in events("host"):
        wait_until(lambda event=event: gone(event["process"]) and gone(event["actor"]), 30)
