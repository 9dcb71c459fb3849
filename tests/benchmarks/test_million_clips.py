"""The simulation of many GPUs, by cases that can be followed by hand."""

import random

import pytest

from benchmarks import million_clips
from benchmarks.million_clips import DAY, DOCUMENTS, HOUR, Case, cases, main, simulate


def found(times, seconds, slowness=(1.0,), monkeypatch=None, lives=None, **case):
    if lives is not None:
        monkeypatch.setattr(million_clips, "lives", lambda _: iter(lives))
    return simulate(times, seconds, Case("", "", slowness, mortal=lives is not None, **case), random.Random(0))


def test_a_clip_waits_for_the_one_before_it():
    one = found([0.0, 1.0, 2.0], [3.0, 3.0, 3.0])
    assert (one.half, one.most) == (5.0, 5.0)  # they take 3, 5 and 7 s: the last is beyond 95 %
    assert one.hours * HOUR == pytest.approx(9.0)
    assert one.used == pytest.approx(9 / DAY)
    two = found([0.0, 1.0, 2.0], [3.0, 3.0, 3.0], (1.0, 1.0))
    assert (two.half, two.used) == (3.0, pytest.approx(4.5 / DAY))


def test_a_clip_given_to_a_busy_gpu_in_advance_waits_although_another_is_free():
    times, seconds = [0.0, 1.0, 2.0], [100.0, 1.0, 1.0]
    assert found(times, seconds, (1.0, 1.0)).half == 1.0
    assert found(times, seconds, (1.0, 1.0), pulling=False).half == 99.0


def test_a_slow_gpu_takes_longer_and_is_longer_at_work():
    slow = found([0.0, 10.0], [3.0, 3.0], (4.0,))
    assert (slow.half, slow.hours * HOUR) == (12.0, pytest.approx(24.0))


def test_a_host_that_dies_comes_back_and_makes_its_clip_anew(monkeypatch):
    busy = found([0.0] * 3, [3.0] * 3, monkeypatch=monkeypatch, lives=[5.0, 1e9])
    assert busy.half == 98.0  # the second of three: from 95 s on
    assert busy.hours * HOUR == pytest.approx(3 + 2 + 3 + 3)  # 2 s of its first go are lost
    waiting = found([10.0, 10.0, 200.0], [3.0, 3.0, 3.0], monkeypatch=monkeypatch, lives=[5.0, 1e9])
    assert waiting.half == 88.0  # dead from 5 s until 95 s


def test_the_last_clips_of_a_day_count_for_the_day_as_far_as_they_are_in_it():
    assert found([DAY - 1.0], [3.0]).used == pytest.approx(1 / DAY)


def test_a_small_day_as_a_whole_is_the_same_by_its_seed(capsys, tmp_path, monkeypatch):
    for name, document in DOCUMENTS.items():
        (tmp_path / name).write_text(document.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(million_clips, "DOCUMENTS", {name: tmp_path / name for name in DOCUMENTS})
    small = ["--clips", "1500", "--gpus", "3", "--mix", "0.5:100", "0.5:200", "--price", "2"]
    assert main([*small, "--write"]) == 0
    text = capsys.readouterr().out.strip()
    assert main(small) == 0
    assert capsys.readouterr().out.strip() == text
    assert main([*small, "--seed", "1"]) == 0
    assert capsys.readouterr().out.strip() != text
    rows = [line for line in text.splitlines() if "GPUs," in line]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [case.english for case in cases(3)]
    used = int(rows[0].split(" | ")[1].removesuffix("%"))
    assert 82 <= used <= 90  # 1500 times 150 s, of 3 days' seconds: 87 %
    assert text.endswith("3 GPUs for a day are 72 hours, times the price of an hour: at 2 an hour 144.")
    assert text in (tmp_path / "batches.md").read_text(encoding="utf-8")
    assert "每小时 2 时为 144" in (tmp_path / "batches.zh.md").read_text(encoding="utf-8")


def test_the_documents_have_the_table_of_the_cases_there_are():
    pages = {name: document.read_text(encoding="utf-8") for name, document in DOCUMENTS.items()}
    for case in cases(million_clips.GPUS):
        assert f"\n| {case.english} | " in pages["batches.md"]
        assert f"\n| {case.chinese} | " in pages["batches.zh.md"]


@pytest.mark.parametrize("mix", ["0.8", "0.8:", "x:3", "-1:3", "1:0"])
def test_a_mix_that_is_none_is_refused(capsys, mix):
    with pytest.raises(SystemExit):
        main([f"--mix={mix}"])
    assert "write them as 0.8:3" in capsys.readouterr().err
