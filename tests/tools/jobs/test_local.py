"""Results that are whole, and what becomes of jobs that fail or end their host."""

from __future__ import annotations

import json

import pytest

from tests.tools.jobs.pictures import picture
from tools.hosting.client import ExecutionFailed
from tools.hosting.environment import SetupError
from tools.hosting.server import ServerError
from tools.jobs import local
from tools.jobs.fields import SAMPLERS, SCHEDULERS
from tools.jobs.models import models_of
from tools.jobs.results import Results
from tools.jobs.sources import source_of
from tools.jobs.warm_host import Made


@pytest.fixture
def models(tmp_path):
    """A checkpoint that is there."""
    (tmp_path / "m.safetensors").write_bytes(b"weights")
    return models_of("m.safetensors", None, [tmp_path], [])


@pytest.fixture
def jobs(tmp_path, models):
    """Three jobs and a row that is none."""
    rows = tmp_path / "rows.csv"
    rows.write_text("id,prompt\na,1\nb,2\n,\nbad\nc,3\n".replace("bad\n", "bad,\n"), encoding="utf-8")
    return lambda: source_of(rows, {}).jobs(models)


class Host:
    """Makes a small file of each job; `fate`: what happens instead, by id, one after the other."""

    def __init__(self, folder, fate):
        self.folder, self.fate, self.made, self.starts = folder, fate, [], 0
        self.process_id = 1

    def __call__(self, *_):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def versions(self):
        return {"comfyui": "0"}

    def restart(self):
        self.starts += 1

    def make(self, job, on_progress=None):
        self.made.append(job.id)
        ends = self.fate.get(job.id, [])
        if ends:
            raise ends.pop(0)
        file = self.folder / f"made-{len(self.made)}"
        file.write_text(job.key)
        return Made(file, {"1": {}}, 0.5)

    def prepare(self):
        return None

    def describe(self):
        return "a host"


@pytest.fixture
def run(tmp_path, models, jobs, monkeypatch):
    def call(fate=None, given=None):
        host = Host(tmp_path, fate or {})
        monkeypatch.setattr(local, "WarmHost", host)
        monkeypatch.setattr(local, "sees_gpu", lambda *_: False)
        tally = local.make_all(given or jobs, Results(tmp_path / "out"), models, lambda: host, True, lambda item: 1)
        return tally, host

    return call


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def test_what_can_be_made_is_and_the_rest_is_named(run, tmp_path):
    tally, _ = run()
    assert (tally.jobs, tally.made, tally.rows, tally.complete) == (3, 3, 1, False)
    (failed,) = lines(tmp_path / "out/failed.jsonl")
    assert failed["where"] == "rows.csv, row 3 (line 5)" and failed["error"].startswith("prompt: it is missing")
    sidecar = json.loads((tmp_path / "out/a.mp4.json").read_text())
    assert sidecar["id"] == "a" and sidecar["graph"] == {"1": {}} and sidecar["prompt"] == "1"
    assert (tmp_path / "out/a.mp4").read_text() == sidecar["key"]
    assert not list((tmp_path / "out").glob(".*.part"))


def test_a_rerun_is_the_resume(run, tmp_path):
    run()
    (tmp_path / "out/b.mp4.json").unlink()  # as a run leaves it that is killed between file and sidecar
    tally, host = run()
    assert host.made == ["b"] and (tally.made, tally.there) == (1, 2)
    (tmp_path / "out/c.mp4").unlink()
    assert run()[1].made == ["c"]
    assert run()[1].made == []


def test_a_row_that_changed_is_made_anew(run, tmp_path):
    run()
    rows = tmp_path / "rows.csv"
    rows.write_text(rows.read_text().replace("b,2", "b,other"), encoding="utf-8")
    assert run()[1].made == ["b"]


def test_of_ten_rows_three_bad_ones_are_named_and_made_once_they_are_mended(run, tmp_path, models):
    rows = tmp_path / "ten.csv"
    lines_of = [f"{n},a thing {n},{n}" for n in range(10)]
    bad = [*lines_of]
    bad[2], bad[5], bad[9] = "2,,2", "5,a thing 5,x", "8,a thing 9,9"

    def ten(given):
        rows.write_text("\n".join(["id,prompt,seed", *given]), encoding="utf-8")
        return run(given=lambda: source_of(rows, {}).jobs(models))

    tally, _ = ten(bad)
    assert (tally.made, tally.rows, tally.complete) == (7, 3, False)
    failed = [line["error"].partition(":")[0] for line in lines(tmp_path / "out/failed.jsonl")]
    assert failed == ["prompt", "seed", "id"]
    tally, host = ten(lines_of)
    assert (tally.made, tally.there, tally.complete) == (3, 7, True) and host.made == ["2", "5", "9"]


def test_the_same_row_twice_is_made_once(run, tmp_path, models):
    rows = tmp_path / "twice.csv"
    rows.write_text("prompt\na\na\nb\n", encoding="utf-8")
    tally, host = run(given=lambda: source_of(rows, {}).jobs(models))
    assert (len(host.made), tally.made, tally.there, tally.complete) == (2, 2, 1, True)


def test_a_nodes_error_is_final_and_others_go_on(run, tmp_path):
    error = ExecutionFailed(
        {"node_id": 7, "node_type": "LoadImage", "exception_type": "E", "exception_message": "it is broken"}
    )
    tally, host = run({"b": [error]})
    assert host.made == ["a", "b", "c"] and (tally.made, tally.failed, host.starts) == (2, 1, 0)
    failed = lines(tmp_path / "out/failed.jsonl")[1]
    assert (failed["id"], failed["error"], failed["cause"]) == ("b", "LoadImage: it is broken", "job")
    tally, host = run()
    assert host.made == ["b"] and not tally.failed


def test_a_job_whose_host_ends_is_tried_again_in_a_new_one(run, tmp_path):
    tally, host = run({"b": [ServerError("gone"), ServerError("gone")]})
    assert host.made == ["a", "b", "b", "b", "c"] and host.starts == 2 and tally.made == 3
    assert json.loads((tmp_path / "out/b.mp4.json").read_text())["attempts"] == 3


def test_a_job_that_ends_its_host_three_times_is_set_aside(run, tmp_path):
    tally, host = run({"b": [ServerError("gone")] * 3})
    assert host.made == ["a", "b", "b", "b", "c"] and (tally.made, tally.failed, host.starts) == (2, 1, 3)
    assert lines(tmp_path / "out/failed.jsonl")[1]["cause"] == "host"


def test_two_runs_never_write_to_one_folder(run, tmp_path):
    with Results(tmp_path / "out").claimed(), pytest.raises(SetupError, match="another run writes to"):
        run()
    assert run()[0].made == 3


def test_what_was_left_half_written_is_removed_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / f".a.{'0' * 32}.part").write_text("half")
    (out / "mine.part").write_text("x")
    (out / ".mine.part").write_text("x")
    with Results(out).claimed():
        assert sorted(path.name for path in out.rglob("*.part")) == [".mine.part", "mine.part"]
        (out / f".b.{'1' * 32}.part").write_text("of a host that was killed during the run")
    assert sorted(path.name for path in out.rglob("*.part")) == [".mine.part", "mine.part"]


def test_events_are_lines_of_json(run, tmp_path):
    run({"b": [ServerError("gone")]})
    names = [line["event"] for line in lines(tmp_path / "out/events.jsonl")]
    made = ["started", "made"]
    assert names == ["host", *made, *made, *made, "finished"]


def test_nothing_is_started_without_a_checkpoint(run, tmp_path, monkeypatch):
    nothing = models_of("no.safetensors", None, [], [])
    with pytest.raises(SetupError, match="no.safetensors: there is no such file: give --checkpoint"):
        local.make_all(
            lambda: source_of(tmp_path / "rows.csv", {}).jobs(nothing),
            Results(tmp_path / "out"),
            nothing,
            lambda: pytest.fail("a host was looked for"),
            True,
            lambda item: 1,
        )


def test_checkpoints_are_known_by_their_bytes(tmp_path):
    (tmp_path / "seine").mkdir()
    (tmp_path / "seine/one.pt").write_bytes(b"1")
    (tmp_path / "two.pt").write_bytes(b"1")
    folder = tmp_path / "diffusers" / "base"
    picture(folder / "vae/x.png")
    one, two = models_of("one.pt", None, [tmp_path], []), models_of("two.pt", None, [], [tmp_path])
    assert one.fingerprint == two.fingerprint != models_of("one.pt", "base", [tmp_path], []).fingerprint
    assert models_of("one.pt", "base", [tmp_path], []).placed()["diffusers"] == [folder]
    (tmp_path / "two.pt").write_bytes(b"2")
    assert models_of("two.pt", None, [], [tmp_path]).fingerprint != one.fingerprint
    assert models_of("three.pt", None, [tmp_path], []).fingerprint is None


@pytest.mark.one_host
def test_samplers_and_schedulers_of_rows_are_the_hosts(client):
    inputs = client.object_info("SEINEKSampler")["input"]["required"]

    def options(name):
        kind, facts = inputs[name][0], inputs[name][1]
        return set(facts["options"] if kind == "COMBO" else kind)

    assert set(SAMPLERS) == options("sampler_name") and set(SCHEDULERS) == options("scheduler")
