"""The command that makes many clips, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from tests.tools.jobs.pictures import picture
from tools.hosting.environment import STARTED
from tools.hosting.server import REPOSITORY

COMMAND = [sys.executable, str(REPOSITORY / "tools" / "batch.py")]


def environment():
    return {name: value for name, value in os.environ.items() if name != STARTED}


def dry(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [*COMMAND, *arguments, "--output", "out", "--dry-run"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment(), check=False)


def test_a_dry_run_prints_jobs_alone_and_makes_nothing(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "rows.csv").write_text("id,images,prompt\none,a.png,a boat\ntwo,b.png,a lake\n3,a.png,tree\n")
    ran = dry(tmp_path, "rows.csv", "--set", "steps=7")
    first, second = map(json.loads, ran.stdout.splitlines())
    assert ran.returncode == 1
    assert (first["id"], first["images"], first["file"]) == ("one", [str(tmp_path / "a.png")], "one.mp4")
    wanted = "id key kind images prompt negative seed width height frames mask steps cfg sampler scheduler format file"
    assert set(wanted.split()) <= set(first) and (first["steps"], second["id"]) == (7, "3")
    errors = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    assert errors == ["error: rows.csv, row 2 (line 3): images: there is no b.png; the nearest is a.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "rows.csv"]
    limited = dry(tmp_path, "rows.csv", "--limit", "1")
    assert limited.returncode == 0 and [json.loads(line)["id"] for line in limited.stdout.splitlines()] == ["one"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["nothing.csv"], "there is no such"), (["--limit", "0", "x"], "--limit"), (["--set", "x", "y"], "KEY=VALUE")],
)
def test_what_cannot_be_meant_is_refused(tmp_path, arguments, words):
    ran = dry(tmp_path, *arguments)
    assert ran.returncode == 2 and words in ran.stderr and not ran.stdout


GOOD, BAD = 7, 3
SETTINGS = {"width": 64, "height": 64, "frames": 4, "steps": 2, "cfg": 2}


def gone(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def wait_until(happens, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


@pytest.mark.one_host
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends hosts with their parent on Linux alone")
def test_a_batch_killed_resumed_and_mended(host, tmp_path):
    """Ten rows, three of them bad; killed after two clips, run again, mended, run again, and once more for nothing."""
    for number in range(GOOD + BAD):
        picture(tmp_path / f"{number}.png", 20 * number)
    formats = ["mp4", "gif", "webm", "webp"]
    rows = [{"id": f"clip {n}", "images": [f"{n}.png"], "prompt": "a red ball", "seed": n} for n in range(GOOD + BAD)]
    rows = [{**row, "format": formats[n % 4]} for n, row in enumerate(rows)]
    bad = [dict(row) for row in rows]
    bad[3]["images"], bad[6]["frame"], bad[9]["seed"] = ["33.png"], 8, "x"

    def write(given):
        (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, given)))

    out, command = tmp_path / "out", [*COMMAND, "rows.jsonl", "--output", "out", "--device", "cpu", "--host", host.name]
    command += ["--checkpoint", "seine-small.safetensors"]
    command += [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]

    def events(name):
        file = out / "events.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def sidecars():
        return sorted(path.name for path in out.glob("*.json"))

    def run():
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env=environment(), timeout=300, check=False
        )

    write(bad)
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as killed:
        wait_until(lambda: len(events("made")) >= 2 or killed.poll() is not None)
        killed.send_signal(signal.SIGKILL)
    wait_until(lambda: gone(events("host")[0]["process"]), 30)
    finished = sidecars()
    assert len(finished) >= 2 and all((out / name.removesuffix(".json")).stat().st_size for name in finished)

    ran = run()
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert len(sidecars()) == GOOD and set(finished) <= set(sidecars())
    counts = f"{GOOD - len(finished)} made, {len(finished)} already there, 0 failed, {BAD} rows could not be read"
    assert counts in ran.stdout
    assert f"{GOOD}/{GOOD}" in ran.stderr and "clips/h" in ran.stderr
    failed = [json.loads(line) for line in (out / "failed.jsonl").read_text().splitlines()]
    assert [line["error"].partition(":")[0] for line in failed] == ["images", "frame", "seed"]
    assert "the nearest is frames" in failed[1]["error"]

    write(rows)
    ran = run()
    assert ran.returncode == 0 and "3 made, 7 already there, 0 failed" in ran.stdout, ran.stdout + ran.stderr
    files = [out / f"clip_{n}.{formats[n % 4]}" for n in range(GOOD + BAD)]
    assert len({file.read_bytes() for file in files}) == GOOD + BAD
    for file in files[::4]:
        with av.open(str(file)) as video:
            assert sum(1 for _ in video.decode(video=0)) == SETTINGS["frames"]
    assert not [path for path in out.rglob("*") if path.name.endswith(".part") or path.name == "failed.jsonl"]
    assert all(gone(event["process"]) for event in events("host"))

    ran = run()
    assert ran.returncode == 0 and "0 made, 10 already there" in ran.stdout and len(events("host")) == 3
