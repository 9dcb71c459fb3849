"""Folders and tables of rows as jobs."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from tests.tools.jobs.pictures import picture
from tools.jobs.found import Problem
from tools.jobs.keys import Keyed
from tools.jobs.models import models_of
from tools.jobs.sources import NotASource, source_of

MODELS = models_of(None, None, [], [])
STORY = "shot 2s: a boat\ntransition 4: it freezes\nshot 1s: ice"


@pytest.fixture(autouse=True)
def world(tmp_path, monkeypatch):
    for number, name in enumerate(("a.png", "b.png", "c_of_glass.v2.png")):
        picture(tmp_path / name, number)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(path, settings=None):
    """Jobs, and what is wrong as text."""
    items = list(source_of(path, settings or {}).jobs(MODELS))
    return [item for item in items if isinstance(item, Keyed)], [str(i) for i in items if isinstance(i, Problem)]


def written(world, name, rows):
    """A table of rows in the format that its name says."""
    file = world / name
    if file.suffix == ".csv":
        keys = list(dict.fromkeys(key for row in rows for key in row))
        quoted = [",".join(f'"{_cell(row.get(key))}"' for key in keys) for row in rows]
        file.write_text("\n".join([",".join(keys), *quoted]), encoding="utf-8")
    elif file.suffix == ".jsonl":
        file.write_text("\n\n".join(map(json.dumps, rows)), encoding="utf-8")
    else:  # JSON is YAML
        file.write_text("\n".join(f"- {json.dumps(row)}" for row in rows), encoding="utf-8")
    return file


def _cell(value):
    return ";".join(value) if isinstance(value, list) else "" if value is None else str(value)


ROWS = [
    {"id": "boat", "images": ["a.png"], "prompt": "a boat, sailing", "seed": 7, "width": 64, "height": 48, "cfg": 2.5},
    {"kind": "transition", "images": ["a.png", "b.png"], "prompt": "it changes", "frames": 12, "steps": 9},
    {"kind": "text_to_video", "prompt": "a lake", "format": "gif", "sampler": "seine_ddpm", "scheduler": "normal"},
    {"kind": "extend", "images": ["a.png"], "prompt": "it goes on", "frames": 40, "negative": "blurry"},
    {"kind": "loop", "images": ["a.png"], "prompt": "round and round", "resize_mode": "pad"},
    {"kind": "story", "images": ["a.png", "b.png"], "prompt": STORY},
    {"images": ["a.png", "b.png", "c_of_glass.v2.png"], "mask": "0, 7, 15", "prompt": "three"},
    {"images": ["c_of_glass.v2.png"]},
]


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.yaml"])
def test_rows_of_every_kind_and_format(world, name):
    jobs, wrong = read(written(world, name, ROWS))
    assert wrong == []
    kinds = ["image_to_video", "transition", "text_to_video", "extend", "loop", "story", "transition", "image_to_video"]
    assert [keyed.job.kind for keyed in jobs] == kinds
    boat, change, lake, film, loop, story, three, glass = (keyed.job for keyed in jobs)
    assert (boat.id, boat.images, boat.seed, boat.width, boat.height, boat.cfg) == (
        "boat",
        (world / "a.png",),
        7,
        64,
        48,
        2.5,
    )
    assert (change.frames, change.steps, change.mask, change.width) == (12, 9, "onelast1", 512)
    assert (lake.mask, lake.sampler, lake.scheduler, lake.images) == ("all", "seine_ddpm", "normal", ())
    assert (film.frames, film.negative, loop.frames, loop.resize_mode) == (40, "blurry", 26, "pad")
    assert (story.frames, story.prompt, three.mask) == (28, STORY, "0, 7, 15")
    assert (glass.prompt, glass.steps, glass.sampler, glass.cfg) == ("c of glass", 25, "ddim", 8.0)
    assert jobs[0].file == "boat.mp4" and jobs[2].file == f"a_lake-{jobs[2].key[:12]}.gif"
    assert len({keyed.file for keyed in jobs}) == len(jobs)


BAD = [
    ({"imags": ["a.png"], "prompt": "x"}, "imags: there is no such key; the nearest is images"),
    ({"images": ["aa.png"], "prompt": "x"}, "images: there is no aa.png; the nearest is a.png"),
    ({"images": ["rows.txt"], "prompt": "x"}, "images: rows.txt is no image that can be read"),
    ({"kind": "transision", "images": ["a.png", "b.png"], "prompt": "x"}, "the nearest right one is transition"),
    (
        {"kind": "transition", "images": ["a.png"], "prompt": "x"},
        "transition wants two images, not 1; the nearest",
    ),
    ({"kind": "image_to_video", "prompt": "x"}, "image_to_video wants one image, not 0; the nearest kind is text_to"),
    ({"kind": "text_to_video", "images": ["a.png"], "prompt": "x"}, "text_to_video takes none, not 1"),
    ({"images": ["a.png", "b.png", "a.png"], "prompt": "x"}, "say in mask which frames they are"),
    (
        {"images": ["a.png", "b.png"], "mask": "0, 7, 15", "prompt": "x"},
        "mask: 0, 7, 15 wants 3 images",
    ),
    (
        {"images": ["a.png"], "mask": "frist1", "prompt": "x"},
        "mask: 'frist1' is not known; the nearest right",
    ),
    (
        {"images": ["a.png"], "mask": "99", "prompt": "x"},
        "mask: frame 99 is outside the clip; the nearest",
    ),
    ({"kind": "loop", "prompt": "x"}, "loop begins with one image, not 0"),
    (
        {"kind": "extend", "images": ["a.png"], "prompt": "x", "frames": 16},
        "frames: 16 is out of range",
    ),
    (
        {"kind": "extend", "images": ["a.png"], "prompt": "x", "mask": "first1"},
        "mask: a job of kind extend has",
    ),
    ({"kind": "story", "images": ["a.png"], "prompt": STORY}, "prompt: story: it has 2 shots"),
    ({"kind": "story", "images": ["a.png"], "prompt": "a boat"}, "prompt: story, line 1: cannot read"),
    ({"kind": "text_to_video"}, "prompt: it is missing"),
    ({"prompt": "x", "width": 250}, "width: 250 is not a multiple of 8; the nearest right one is 248"),
    ({"prompt": "x", "steps": "lots"}, "steps: 'lots' is not a whole number"),
    ({"prompt": "x", "steps": 1}, "steps: 1 is out of range; the nearest right one is 2"),
    ({"prompt": "x", "seed": -5}, "seed: -5 is out of range; the nearest right one is 0"),
    ({"prompt": "x", "cfg": "nan"}, "cfg: 'nan' is not a number"),
    ({"prompt": "x", "sampler": "ddimm"}, "sampler: 'ddimm' is not known; the nearest right one is ddim"),
    ({"prompt": "x", "scheduler": "seina"}, "scheduler: 'seina' is not known; the nearest right one is seine"),
    ({"prompt": "x", "format": "mpg"}, "format: 'mpg' is not known; the nearest right one is mp4"),
]


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.yaml"])
def test_bad_rows_are_named_and_others_go_on(world, name):
    (world / "rows.txt").write_text("no image")
    rows = [row for bad, _ in BAD for row in (bad, {"id": f"good {len(str(bad))} {bad}", "prompt": "good"})]
    jobs, wrong = read(written(world, name, rows))
    assert len(jobs) == len(BAD)
    assert len(wrong) == len(BAD), wrong
    for index, (said, (_, words)) in enumerate(zip(wrong, BAD, strict=True)):
        assert said.startswith(f"{name}, row {2 * index + 1} (line ") and words in said


@pytest.mark.parametrize(
    ("name", "text", "good", "words"),
    [
        (
            "rows.jsonl",
            '{"prompt": "x"}\n{"prompt": \n[1]\n{"prompt": "y"}\n',
            2,
            ["row 2 (line 2): it is no JSON", "row 3"],
        ),
        ("rows.csv", "prompt,steps\nx,5\na,b,c\ny,5\n", 2, ["row 2 (line 3): it has 3 cells for 2 columns"]),
        ("rows.csv", "prompt,prompt\nx,y\n", 0, ["'prompt' twice"]),
        ("rows.csv", "", 0, ["it has no rows"]),
        ("rows.csv", "prompt\n", 0, ["it has no rows"]),
        (
            "rows.yaml",
            "- prompt: x\n- 7\n- prompt: y\n- {prompt: z, prompt: z}\n",
            2,
            ["row 2 (line 2): 7", "row 4 (line 4)"],
        ),
        ("rows.yaml", "- prompt: x\n- {prompt: y\n", 1, ["rows.yaml, after row 1: it cannot be read on"]),
    ],
)
def test_broken_files(world, name, text, good, words):
    (world / name).write_text(text, encoding="utf-8")
    jobs, wrong = read(world / name)
    assert len(jobs) == good and len(wrong) == len(words)
    assert all(part in said for part, said in zip(words, wrong, strict=True)), wrong


def test_what_is_not_text_stops_a_file_there(world):
    (world / "rows.jsonl").write_bytes(b'{"prompt": "x"}\n' * 2000 + b'{"prompt": "\xff"}\n')
    _, wrong = read(world / "rows.jsonl")
    assert "it cannot be read on" in wrong[-1]


def test_one_id_for_two_jobs_is_an_error_and_one_job_twice_is_not(world):
    rows = [{"id": "x", "prompt": "a"}, {"id": "X", "prompt": "b"}, {"id": "x", "prompt": "a"}, {"prompt": "b"}]
    jobs, wrong = read(written(world, "rows.jsonl", rows))
    assert len(jobs) == 3 and jobs[0].key == jobs[1].key
    assert wrong == ["rows.jsonl, row 2: id: 'X' is that of rows.jsonl, row 1 too; give each row one of its own"]


def test_settings_are_for_what_a_row_leaves_out(world):
    file = written(world, "rows.csv", [{"prompt": "a", "steps": 4}, {"prompt": "b", "steps": ""}])
    jobs, _ = read(file, {"steps": 9, "width": 64})
    assert [(each.job.steps, each.job.width) for each in jobs] == [(4, 64), (9, 64)]


def test_a_folder_of_images(world):
    for name in ("shot_10.jpg", "shot_9.JPG", "10.png"):
        picture(world / "photos" / name)
    (world / "photos/.hidden.png").write_bytes(b"")
    (world / "photos/notes.txt").write_text("x")
    items = list(source_of(world / "photos", {"steps": 5}).jobs(MODELS))
    jobs = [item for item in items if isinstance(item, Keyed)]
    assert [each.job.images[0].name for each in jobs] == ["10.png", "shot_9.JPG", "shot_10.jpg"]
    assert [each.job.prompt for each in jobs] == ["10", "shot 9", "shot 10"]
    assert [each.file for each in jobs] == ["10.mp4", "shot_9.mp4", "shot_10.mp4"]
    assert {(each.job.kind, each.job.steps, each.job.mask) for each in jobs} == {("image_to_video", 5, "first1")}
    (note,) = [str(item) for item in items if not isinstance(item, Keyed)]
    assert note == "photos: skipped, since they are no images: .hidden.png, notes.txt"


def test_a_folder_of_pairs(world):
    for name in ("day_to_night/2.png", "day_to_night/10.png", "day_to_night/1.png", "single/1.png", "seed.1/a.png"):
        picture(world / "pairs" / name)
    picture(world / "pairs/seed.1/b.png")
    picture(world / "pairs/clips/made1.png")
    picture(world / "pairs/clips/made2.png")
    items = list(source_of(world / "pairs", {}).jobs(MODELS, world / "pairs/clips"))
    jobs = [item for item in items if isinstance(item, Keyed)]
    assert [[image.name for image in each.job.images] for each in jobs] == [["1.png", "10.png"], ["a.png", "b.png"]]
    assert [(each.id, each.job.prompt, each.file) for each in jobs] == [
        ("day_to_night", "day to night", "day_to_night.mp4"),
        ("seed.1", "seed", "seed.mp4"),
    ]
    notes = [str(item) for item in items if not isinstance(item, Keyed)]
    assert notes == [
        "pairs/day_to_night: from 1.png to 10.png; between them, not used: 2.png",
        "pairs/single: skipped: a transition wants two images or more, and it has 1",
    ]


def test_images_of_one_prompt_have_files_of_their_own(world):
    for name in ("a_b.png", "a_b.jpg", "a b.png"):
        picture(world / "photos" / name)
    jobs, _ = read(world / "photos")
    assert len({each.file.casefold() for each in jobs}) == 3 and len({each.job.prompt for each in jobs}) == 1


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: (path.mkdir(), (path / "a.txt").touch())])
def test_a_folder_without_images_is_an_error(world, make):
    make(world / "empty")
    jobs, wrong = read(world / "empty")
    assert not jobs and "it has no images" in wrong[0]


def test_a_broken_image_in_a_folder_is_one_problem(world):
    picture(world / "photos/a.png")
    (world / "photos/b.png").write_bytes((world / "a.png").read_bytes()[:20])
    jobs, wrong = read(world / "photos")
    assert len(jobs) == 1 and wrong[0].startswith("photos/b.png: images: b.png is no image that can be read")


@pytest.mark.parametrize(
    ("name", "words"), [("none.csv", "there is no such"), ("rows.cvs", "the nearest right one is .csv")]
)
def test_what_is_no_source(world, name, words):
    if "cvs" in name:
        (world / name).write_text("prompt\nx")
    with pytest.raises(NotASource, match=words):
        source_of(world / name, {})


def test_memory_does_not_grow_with_the_rows(world):
    def peak(count):
        rows = [{"id": f"clip {n}", "images": ["a.png"], "prompt": f"p {n}"} for n in range(count)]
        source = source_of(written(world, "rows.jsonl", rows), {})
        tracemalloc.start()
        made = sum(isinstance(item, Keyed) for item in source.jobs(MODELS))
        (_, most), _ = tracemalloc.get_traced_memory(), tracemalloc.stop()
        assert made == count
        return most

    peak(150)
    few, many = peak(150), peak(220)
    assert many < few + 40_000  # of 70 rows more; a job and its key are above a thousand bytes each
