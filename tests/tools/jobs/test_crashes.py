"""What a machine that crashed, a full disk or a closed folder leaves: it is said in words, and made anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from seine_model.writing import whole_file
from tests.tools.jobs.serving import Maker, checkpoint, serving
from tests.tools.jobs.test_local import lines
from tests.tools.jobs.test_service import CLIPS, kept, wait_for
from tests.tools.test_batch import COMMAND, environment
from tools.hosting.server import REPOSITORY
from tools.jobs.results import Results

full_disk = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device here that is always full")
CLOSED = """
import os, sys
from pathlib import Path
from tools.jobs.results import Results
from tools.jobs.service.waiting import finished
os.setuid(54321)
results = Results(Path(sys.argv[1]))
with results.claimed():
    print([clip.name for clip in finished(results)])
"""


@pytest.mark.parametrize(
    "left", ["", '{"asked": 1', '{"asked": "x", "row": {}}', "[]", '{"asked": 1, "row": [3]}', "\xff"]
)
def test_a_damaged_row_is_set_aside_and_the_others_are_made(tmp_path, left):
    maker = Maker(tmp_path / "out", checkpoint(tmp_path / "models"))
    maker.open.clear()
    with serving(tmp_path, maker) as (client, _):
        key = client.post(CLIPS, json={"prompt": "a lake"}).json()["id"]
    waiting = tmp_path / "out/.seine-service/waiting"
    (waiting / "0123.json").write_text(left, encoding="latin-1")
    for _ in range(2):
        with serving(tmp_path) as (client, _):
            wait_for(client, made=1)
            assert client.get(CLIPS).json()["clips"][0]["id"] == key
    assert kept(tmp_path) == ["0123.unreadable"]
    assert (waiting / "0123.unreadable").read_text(encoding="latin-1") == left
    (failed,) = lines(tmp_path / "out/failed.jsonl")
    assert failed["key"] == "0123" and "0123.unreadable; ask for it again" in failed["error"]
    assert [event["key"] for event in lines(tmp_path / "out/events.jsonl") if event["event"] == "failed"] == ["0123"]


def test_a_clip_that_lost_its_bytes_is_made_anew(tmp_path):
    with serving(tmp_path) as (client, _):
        for prompt in ("a", "b"):
            client.post(CLIPS, json={"id": prompt, "prompt": prompt})
        wait_for(client, made=2)
    (tmp_path / "out/a.mp4").write_bytes(b"")
    with serving(tmp_path) as (client, maker):
        assert [clip["name"] for clip in client.get(CLIPS).json()["clips"]] == ["b"]
        keys = [client.post(CLIPS, json={"id": prompt, "prompt": prompt}).json()["id"] for prompt in ("a", "b")]
        wait_for(client, made=2, waiting=0, making=0)
        assert maker.made == keys[:1] and (tmp_path / "out/a.mp4").read_text() == keys[0]


def test_a_file_is_on_the_disk_before_its_name_is(tmp_path, monkeypatch):
    done = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append(os.fstat(file).st_size), sync(file)))
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("named"), replace(*paths)))
    with whole_file(tmp_path / "a") as part:
        part.write_text("1234")
    assert done == [4, "named"] and (tmp_path / "a").read_text() == "1234"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only the superuser becomes anyone")
def test_a_folder_that_may_not_be_read_is_passed_by(open_folder):
    with serving(open_folder) as (client, _):
        client.post(CLIPS, json={"id": "a", "prompt": "a"})
        wait_for(client, made=1)
    out = open_folder / "out"
    (out / "lost+found").mkdir(mode=0o700)
    out.chmod(0o777)
    code = [sys.executable, "-c", CLOSED, str(out)]
    ran = subprocess.run(code, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "['a']", ran.stderr


@full_disk
@pytest.mark.parametrize("dry", [True, False])
def test_a_full_disk_ends_the_command_in_words(tmp_path, dry):
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a"}\n' * 100 if dry else '{"steps": 3}\n')
    (tmp_path / "out").mkdir()
    (tmp_path / "out/events.jsonl").symlink_to("/dev/full")
    command = [*COMMAND, "rows.jsonl", "--output", "out", *(["--dry-run"] if dry else [])]
    with open("/dev/full" if dry else os.devnull, "w") as output:
        ran = subprocess.run(
            command, cwd=tmp_path, stdout=output, stderr=subprocess.PIPE, text=True, env=environment(), check=False
        )
    assert ran.returncode == 2 and "Traceback" not in ran.stderr and "Exception" not in ran.stderr, ran.stderr
    assert "No space left on device" in ran.stderr and "free space" in ran.stderr


@full_disk
def test_a_full_disk_ends_neither_the_queue_nor_its_start(tmp_path):
    maker = Maker(tmp_path / "out", checkpoint(tmp_path / "models"))
    maker.open.clear()
    with serving(tmp_path, maker) as (client, _):
        client.post(CLIPS, json={"prompt": "a lake"})
    waiting = tmp_path / "out/.seine-service/waiting"
    (waiting / "0123.json").write_text("")
    (waiting / "4567.json").write_text(json.dumps({"asked": 1, "row": {"steps": "many"}}))
    record = Results(tmp_path / "out").folder / "events.jsonl"
    record.unlink(missing_ok=True)
    record.symlink_to("/dev/full")
    with serving(tmp_path) as (client, _):
        wait_for(client, failed=1)  # what cannot be written down is not begun
        key = client.get(CLIPS).json()["clips"][0]["id"]
        assert client.delete(f"{CLIPS}/{key}").status_code == 204
        record.unlink()
        client.post(CLIPS, json={"prompt": "a lake"})
        wait_for(client, made=1)
