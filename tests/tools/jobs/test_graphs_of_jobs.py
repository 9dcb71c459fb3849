"""Jobs as graphs, and their keys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.tools.jobs.pictures import picture
from tools.hosting import workflow_graph
from tools.hosting.workflow_graph import nodes_of
from tools.jobs.graphs import graph_of
from tools.jobs.job import TEMPLATES, Job, read_row
from tools.jobs.keys import keyed
from tools.jobs.models import models_of
from tools.jobs.naming import file_name

STORY = "shot 4: a\ntransition 4: b\nshot 4: c"
IMAGES = {"image_to_video": 1, "transition": 2, "text_to_video": 0, "extend": 1, "story": 2, "loop": 1}
MODELS = models_of(None, None, [], [])


@pytest.fixture
def job(tmp_path):
    """Makes a job of a kind."""

    def make(kind="image_to_video", count=None, **row) -> Job:
        count = IMAGES[kind] if count is None else count
        paths = [picture(tmp_path / f"{number}.png", number) for number in range(count)]
        row = {"prompt": STORY if kind == "story" else "p", "negative": "n", **row}
        read = read_row({"kind": kind, "images": list(map(str, paths)), **row}, lambda name: tmp_path / name)
        assert isinstance(read, Job), read
        return read

    return make


def graph(job, **changes):
    given = {"images": [f"{n}.png" for n in range(len(job.images))], "model_name": "m", "base_name": "b"}
    return graph_of(job, **(given | {"seed": 5, "prefix": "own"} | changes))


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_job_of_defaults_is_its_workflow(job, kind):
    """But for names of files, texts and the names of nodes."""
    template, made = workflow_graph.load(TEMPLATES[kind]), graph(job(kind))
    count = len(nodes_of(made, "LoadImage"))
    assert count == IMAGES[kind]

    def plain(each):
        ignored = (
            "image",
            "text",
            "story",
            "filename_prefix",
            "format",
            "seed",
            "model_name",
            "base_name",
            "negative_prompt",
        )
        return sorted(
            (
                node["class_type"],
                sorted((k, str(v)) for k, v in node["inputs"].items() if k not in ignored and not isinstance(v, list)),
                sorted(k for k, v in node["inputs"].items() if isinstance(v, list) and not k.startswith("shot_images")),
            )
            for node in each.values()
            if node["class_type"] != "LoadImage"
        )

    assert plain(made) == plain(template)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_every_value_of_a_job_reaches_the_graph(job, kind):
    changes = {"width": 128, "height": 72, "steps": 3, "cfg": 4.5, "sampler": "euler", "scheduler": "normal"}
    frames = {} if kind == "story" else {"frames": 30}
    made = graph(job(kind, **changes, **frames, resize_mode="pad"))
    inputs = [node["inputs"] for node in made.values()]
    given = changes | {"seed": 5, "sampler_name": "euler", "resize_mode": "pad", "model_name": "m", "base_name": "b"}
    del given["sampler"]
    for name, value in given.items():
        assert {each[name] for each in inputs if name in each} == {value}, name
    texts = {value for each in inputs for name, value in each.items() if name in ("text", "story", "negative_prompt")}
    assert texts == {STORY if kind == "story" else "p", "n"}
    if kind in ("extend", "loop"):
        assert sorted(each["frames"] for each in inputs if "frames" in each) == [14, 16]
    elif kind != "story":
        assert [each["frames"] for each in inputs if "frames" in each] == [30]
    assert [each["filename_prefix"] for each in inputs if "filename_prefix" in each] == ["own"]


@pytest.mark.parametrize("kind", ["image_to_video", "extend", "story"])
@pytest.mark.parametrize(
    ("format", "saver"), [("webm", "SaveWEBM"), ("webp", "SaveAnimatedWEBP"), ("gif", "SEINESaveGIF")]
)
def test_other_formats_save_the_decoded_frames(job, kind, format, saver):
    made = graph(job(kind, format=format))
    (save,) = nodes_of(made, saver)
    (decode,) = nodes_of(made, "SEINEVAEDecode")
    assert made[save]["inputs"]["images"] == [decode, 0] and made[save]["inputs"]["fps"] == 8.0
    assert not any(nodes_of(made, name) for name in ("SaveVideo", "CreateVideo", "SEINEDecodeToVideo"))


@pytest.mark.parametrize(
    ("kind", "count", "mask", "built"),
    [
        ("image_to_video", 1, "first3", ("first frames", 3)),
        ("image_to_video", 1, "last1", ("last frames", 1)),
        ("transition", 2, "onelast2", ("first and last frames", 2)),
        ("transition", 3, "0, 7, -1", ("custom keyframes", 1)),
    ],
)
def test_masks_that_need_a_mask_builder(job, kind, count, mask, built):
    made = graph(job(kind, count, mask=mask))
    inputs = made["mask"]["inputs"]
    assert (inputs["mode"], inputs["count"], inputs["frames"]) == (*built, 16)
    (clip,) = nodes_of(made, "SEINEImageToVideo")
    wired = {name: value for name, value in made[clip]["inputs"].items() if "image" in name or "keyframe" in name}
    order = ["first_image", "more_keyframes.keyframe0", "last_image"]
    names = {1: order[:1], 2: order[::2], 3: order}[count]
    assert [wired[name] for name in names] == [[f"image{n}", 0] for n in range(count)]
    assert made[clip]["inputs"]["mask"] == ["mask", 0]


def test_the_key_changes_with_all_that_changes_the_clip(job, tmp_path):
    plain = job(seed=1)
    keys = {keyed(plain, MODELS).key}
    changes = [
        *({"prompt": "q"}, {"negative": "q"}, {"seed": 2}, {"width": 64}, {"height": 64}, {"frames": 8}, {"steps": 9}),
        *({"cfg": 3.0}, {"sampler": "euler"}, {"scheduler": "normal"}, {"format": "gif"}, {"mask": "first2"}),
        *({"resize_mode": "pad"}, {"weight_dtype": "fp32"}, {"images": (picture(tmp_path / "x.png", 200),)}),
    ]
    keys |= {keyed(replace(plain, **change), MODELS).key for change in changes}
    keys |= {keyed(plain, replace(MODELS, fingerprint=digit * 64)).key for digit in "01"}
    assert len(keys) == 1 + len(changes) + 2


def test_the_key_is_of_what_an_image_is_and_not_where(job, tmp_path):
    plain = job(seed=1)
    copy = picture(tmp_path / "elsewhere" / "copy.png", 0)
    assert copy.read_bytes() == plain.images[0].read_bytes()
    moved = replace(plain, images=(copy,), id="other", name="other", number=9)
    assert keyed(moved, MODELS).key == keyed(plain, MODELS).key
    picture(plain.images[0], 77)
    assert keyed(plain, MODELS).key != keyed(moved, MODELS).key


def test_a_job_without_seed_has_one_of_its_own(job):
    plain = job()
    first, other = keyed(plain, MODELS), keyed(replace(plain, prompt="q"), MODELS)
    assert first.seed != other.seed and first == keyed(plain, MODELS)
    assert keyed(replace(plain, seed=first.seed), MODELS).key == first.key
    # The same on a machine that does not have the checkpoint.
    assert keyed(plain, replace(MODELS, fingerprint="0" * 64)).seed == first.seed


def test_file_names_are_safe_short_and_distinct():
    assert file_name("a red ball, moving") == "a_red_ball,_moving"
    odd = ["a/b", "a\\b", "a:b", "..", ".", "", "con", "NUL.x", "x" * 400, "x" * 401, "气球" * 100, "a\nb", " ", "-"]
    names = [file_name(text) for text in odd]
    assert len(set(names)) == len(odd)
    for name in names:
        assert name.strip(" .") == name and name and len(name.encode()) < 140
        assert not set(name) & set('/\\:*?"<>|\n') and name.upper() not in ("CON", "NUL.X")
