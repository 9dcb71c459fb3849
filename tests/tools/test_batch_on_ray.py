"""A batch on Ray: two ComfyUIs on this machine, one killed in the middle of a film, with which the other goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import av
import pytest

from tests.tools.jobs.pictures import picture
from tests.tools.test_batch import COMMAND, SETTINGS, environment, gone, wait_until

CLIPS, FRAMES = 4, 48


@pytest.mark.one_host
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends hosts with their parent on Linux alone")
def test_what_is_killed_is_started_again_and_nothing_is_lost_or_made_twice(host, tmp_path):
    """The clips differ by their seeds alone, and get their names from their keys; the last row is bad."""
    picture(tmp_path / "a.png")
    film = {"id": "film", "kind": "extend", "images": ["a.png"], "frames": FRAMES, "steps": 8}
    rows = [film, *({"images": ["a.png"], "seed": seed} for seed in range(CLIPS)), {"images": ["b.png"]}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "out"
    command = [*COMMAND, "rows.jsonl", "--output", "out", "--engine", "ray", "--hosts-per-gpu", "2", "--device", "cpu"]
    command += ["--host", host.name, "--checkpoint", "seine-small.safetensors"]
    command += [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]

    def events(name):
        file = out / "events.jsonl"
        lines = file.read_text().split("\n")[:-1] if file.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def windows():
        return {file.name: file.stat() for file in (out / ".seine-windows").glob("*.safetensors")}

    with (
        open(tmp_path / "log", "wb") as log,
        subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=log, stderr=log) as run,
    ):
        wait_until(lambda: windows() or run.poll() is not None, 400)
        first, before = events("host")[0], windows()
        os.kill(first["actor"], signal.SIGKILL)
        wait_until(lambda: gone(first["process"]), 30)  # a host ends with its actor
        run.wait(400)
    said = (tmp_path / "log").read_text()
    assert run.returncode == 1 and f"{CLIPS + 1} made, 0 already there, 0 failed, 1 rows" in said, said
    clips = sorted(out.glob("*.mp4"))
    assert len({clip.read_bytes() for clip in clips}) == len(clips) == CLIPS + 1
    assert len(events("made")) == CLIPS + 1 and len({event["id"] for event in events("made")}) == CLIPS + 1
    assert [event["id"] for event in events("dropped")] == ["film"]
    with av.open(str(out / "film.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == FRAMES
    after = windows()  # not made anew by the other host, but used
    assert len(after) > len(before) and all(after[name].st_ino == facts.st_ino for name, facts in before.items())
    assert all(after[name].st_mtime > facts.st_mtime for name, facts in before.items())
    assert not list(out.rglob("*.part"))
    for event in events("host"):
        wait_until(lambda event=event: gone(event["process"]) and gone(event["actor"]), 30)
