"""All measurements of a GPU as one command: what it keeps, what it does again, what it writes; on the CPU, small."""

import copy
import json

import pytest

from benchmarks import gpu, gpu_report
from tools.hosting import environment

FOUND = {
    "host": "a host",
    "small": False,
    "parts": {
        "comparison": {"found": {"device": "Some H200", "errors": {"fp32": [0, 2e-3], "int8": [0.01, 0.02]}}},
        "steps in ComfyUI": {
            "found": [
                {
                    "name": "512x320",
                    "error": "",
                    "strays": {},
                    "waits": {"item, unet.py:3": 1},
                    "peak": 2**31,
                    "allocated": 2**30,
                    "seconds": 0.05,
                }
            ]
        },
        "clip": {"error": "took more than 600 s"},
        "two cards": {"found": {"devices": ["cuda:0"], "seconds": {}, "difference": 0}},
    },
}


def run(results, *words):
    return gpu.main(["--small", "--here", "--results", str(results), *words])


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setenv(environment.STARTED, "0")


@pytest.mark.one_host
def test_what_is_measured_is_kept_and_not_done_again(host, tmp_path, monkeypatch, capsys):
    results = tmp_path / "gpu.json"
    words = ["--host", host.name, "--only", "step", "steps in ComfyUI", "processor", "small model"]
    assert run(results, *words) == 0
    kept = json.loads(results.read_text())["parts"]
    assert list(kept) == ["step", "steps in ComfyUI", "processor", "small model"]
    tasks = [result["task"] for result in kept["small model"]["found"]["numbers"]]
    assert tasks == ["image to video", "transition", "text to video"]
    for row in kept["steps in ComfyUI"]["found"]:
        assert (row["error"], row["placed"]) == ("", True) and row["seconds"] > 0
    said = capsys.readouterr().out
    assert "| 64x64 | 2 | 1 | fp32 | ours |" in said
    assert "| 346 of 487 layers in pages |" in said and "| the same, each layer cast by ComfyUI |" in said

    done = []

    def part(name, problem=None):
        def measure(*_):
            done.append(name)
            if problem:
                raise OSError(problem)
            return {"devices": ["cpu"], "seconds": {}, "difference": 0}

        return measure

    monkeypatch.setitem(gpu.PARTS, "step", part("step"))
    monkeypatch.setitem(gpu.PARTS, "two cards", part("two cards", "nothing there"))
    assert run(results, "--host", host.name, "--only", "step", "two cards") == 1
    assert "not measured: nothing there" in capsys.readouterr().out
    monkeypatch.setitem(gpu.PARTS, "two cards", part("again"))
    assert run(results, "--host", host.name, "--only", "step", "two cards", "--budget", "0.000001") == 1
    assert run(results, "--host", host.name, "--only", "step", "two cards") == 0
    assert done == ["two cards", "again"]
    assert list(json.loads(results.read_text())["parts"]) == [*kept, "two cards"]

    results.write_text(json.dumps(FOUND))
    with pytest.raises(ValueError, match="name another file"):
        run(results, "--host", host.name)


def test_a_part_that_takes_too_long_is_ended(tmp_path, monkeypatch):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "slow.py").write_text(
        "import sys, time; open(sys.argv[-1], 'w').write('[1]'); time.sleep(60)"
    )
    monkeypatch.setattr(gpu, "REPOSITORY", tmp_path)
    options = gpu.parse_arguments(["--small", "--results", "unused.json"])
    slow = gpu.command("slow.py", "", "")
    found = slow(options, gpu.hosts.Host("modern", tmp_path, "0"), tmp_path, 3)
    assert (found["numbers"], found["problem"]) == ([1], "took more than 3 s")
    (tmp_path / "benchmarks" / "slow.py").write_text("raise SystemExit('no card')")
    (tmp_path / "numbers.json").unlink()
    with pytest.raises(OSError, match="status 1: no card"):
        slow(options, gpu.hosts.Host("modern", tmp_path, "0"), tmp_path, 3)


def test_tables_name_the_card_and_say_what_is_wrong_or_missing():
    text = gpu_report.tables(FOUND)
    assert text.startswith("### Some H200\n\na host\n")
    assert "| fp32 | 0.0e+00 | 2.0e-03 | **wrong** |" in text
    assert "| int8 | 1.0e-02 | 2.0e-02 | right |" in text
    assert "| 512x320 | item, unet.py:3 | 2.00 | 1.00 | 50.0 |" in text
    assert "not measured: took more than 600 s" in text
    assert "one card here (cuda:0): nothing to split" in text
    split = copy.deepcopy(FOUND)
    split["parts"]["two cards"]["found"] = {
        "devices": ["cuda:0", "cuda:1"],
        "seconds": {"one": 2.0, "two": 1.25},
        "difference": 1e-4,
    }
    assert "one: 2.00 s, two: 1.25 s, difference 1.0e-04" in gpu_report.tables(split)


def test_tables_are_written_between_the_marks():
    document = gpu_report.DOCUMENT.read_text(encoding="utf-8")
    once = gpu_report.written_into(document, FOUND)
    assert "### Some H200" in once and gpu_report.written_into(once, FOUND) == once
    with pytest.raises(ValueError, match="put them where the table goes"):
        gpu_report.written_into("no marks", FOUND)


def test_every_part_has_a_table_and_every_case_is_counted():
    assert set(gpu_report._TABLES) == set(gpu.PARTS)
    counted = gpu_report.DOCUMENT.read_text(encoding="utf-8")
    assert all(f"\n| {name} | right |" in counted for name in gpu.CASES)
