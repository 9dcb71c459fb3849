"""The command that makes many clips, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
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


def test_in_this_very_python_nothing_is_set_up(tmp_path):
    (tmp_path / "rows.csv").write_text("prompt\na boat\n")
    command = [*COMMAND, "rows.csv", "--dry-run", "--here"]
    elsewhere = environment() | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "LOCALAPPDATA": str(tmp_path / "cache")}
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=elsewhere, check=False)
    assert ran.returncode == 0 and json.loads(ran.stdout)["prompt"] == "a boat", ran.stderr
    assert not list(tmp_path.rglob("pyvenv.cfg"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["nothing.csv"], "there is no such"), (["--limit", "0", "x"], "--limit"), (["--set", "x", "y"], "KEY=VALUE")],
)
def test_what_cannot_be_meant_is_refused(tmp_path, arguments, words):
    ran = dry(tmp_path, *arguments)
    assert ran.returncode == 2 and words in ran.stderr and not ran.stdout


def test_clips_among_the_images_they_are_made_of_are_refused(tmp_path):
    picture(tmp_path / "out/a.png")
    ran = dry(tmp_path, "out")
    assert ran.returncode == 2 and "is the folder of the images: name another" in ran.stderr and not ran.stdout


def test_who_reads_the_jobs_may_leave(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a boat"}\n' * 2000)
    command = [*COMMAND, "rows.jsonl", "--dry-run"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        run.stdout.readline()
        run.stdout.close()
        said = run.stderr.read()
    assert "Traceback" not in said and "Broken" not in said and run.returncode == 1


ROWS = 7
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
def test_a_batch_killed_mended_and_resumed(host, tmp_path):
    """Seven rows, three of them bad; killed after two clips, mended, run again, and once more for nothing."""
    formats = ["mp4", "gif", "webm", "webp"]
    rows = [{"id": f"clip {n}", "images": [f"{n}.png"], "format": formats[n % 4], "seed": n} for n in range(ROWS)]
    for number in range(ROWS):
        picture(tmp_path / f"{number}.png", 20 * number)
    bad = [dict(row) for row in rows]
    bad[3]["images"], bad[5]["frame"], bad[6]["seed"] = ["33.png"], 8, "x"
    out, command = tmp_path / "out", [*COMMAND, "rows.jsonl", "--output", "out", "--device", "cpu", "--host", host.name]
    command += ["--checkpoint", "seine-small.safetensors"]
    command += [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]

    def events(name):
        file = out / "events.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def write(given):
        (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, given)))

    write(bad)
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as killed:
        wait_until(lambda: len(events("made")) >= 2 or killed.poll() is not None)
        killed.send_signal(signal.SIGKILL)
    wait_until(lambda: gone(events("host")[0]["process"]), 30)
    finished = sorted(path.name for path in out.glob("*.json"))
    assert len(finished) >= 2 and all((out / name.removesuffix(".json")).stat().st_size for name in finished)
    failed = [json.loads(line) for line in (out / "failed.jsonl").read_text().splitlines()]
    assert [line["error"].partition(":")[0] for line in failed] == ["images", "frame", "seed"]

    write(rows)
    run = partial(subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, env=environment(), check=False)
    ran = run()
    counts = f"{ROWS - len(finished)} made, {len(finished)} already there, 0 failed"
    assert ran.returncode == 0 and counts in ran.stdout, ran.stdout + ran.stderr
    assert f"{ROWS}/{ROWS}" in ran.stderr and "clips/h" in ran.stderr
    files = [out / f"clip_{n}.{formats[n % 4]}" for n in range(ROWS)]
    assert len({file.read_bytes() for file in files}) == ROWS
    for file in files[::4]:
        with av.open(str(file)) as video:
            assert sum(1 for _ in video.decode(video=0)) == SETTINGS["frames"]
    assert not [path for path in out.rglob("*") if path.name.endswith(".part") or path.name == "failed.jsonl"]
    assert all(gone(event["process"]) for event in events("host"))

    ran = run()
    assert ran.returncode == 0 and f"0 made, {ROWS} already there" in ran.stdout and len(events("host")) == 2
