"""Official configuration files, key by key."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import yaml

from tests.tools.jobs.pictures import picture
from tools.jobs.found import Note, Problem
from tools.jobs.job import Job
from tools.jobs.official import KEYS
from tools.jobs.sources import NotASource, source_of

IMAGE = "input/i2v/Close-up_essence_is_poured_from_bottleKodak_Vision.png"
SAID = "Close-up essence is poured from bottleKodak Vision"
I2V = {
    "ckpt": "pretrained/seine.pt",
    "pretrained_model_path": "pretrained/stable-diffusion-v1-4/",
    "input_path": IMAGE,
    "save_path": "./results/i2v/",
    "model": "UNet",
    "num_frames": 16,
    "image_size": [240, 560],
    "use_fp16": True,
    "enable_xformers_memory_efficient_attention": True,
    "seed": None,
    "run_time": 13,
    "cfg_scale": 8.0,
    "sample_method": "ddpm",
    "num_sampling_steps": 250,
    "text_prompt": [],
    "additional_prompt": ", slow motion.",
    "negative_prompt": "",
    "do_classifier_free_guidance": True,
    "mask_type": "first1",
    "use_mask": True,
}
TRANSITION = I2V | {
    "input_path": "input/transition/1",
    "image_size": [512, 512],
    "seed": 0,
    "text_prompt": ["smooth transition"],
    "additional_prompt": "smooth transition.",
    "mask_type": "onelast1",
}


@pytest.fixture
def world(tmp_path, monkeypatch):
    """The working folder, with the official code's inputs in it."""
    picture(tmp_path / IMAGE)
    for number in (1, 2, 10):
        for name in ("1-a-1.png", "2-b-2.png"):
            picture(tmp_path / "input/transition" / str(number) / name, number)
    (tmp_path / "input/transition/1/Thumbs.db").write_bytes(b"no image")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(world, config):
    """Jobs, and what else was said, of a configuration given as text or values."""
    file = world / "sample.yaml"
    file.write_text(config if isinstance(config, str) else yaml.safe_dump(config), encoding="utf-8")
    items = list(source_of(file, {}).found(None))
    return [item for item in items if isinstance(item, Job)], [item for item in items if not isinstance(item, Job)]


def only_job(world, config):
    (job,), others = found(world, config)
    assert not [item for item in others if isinstance(item, Problem)]
    return job


def test_the_published_image_to_video(world):
    job = only_job(world, I2V)
    assert asdict(job) | {"id": None} == {
        "id": None,
        "kind": "image_to_video",
        "images": (world / IMAGE,),
        "prompt": f"{SAID}, slow motion.",
        "negative": "",
        "seed": None,
        "width": 560,
        "height": 240,
        "frames": 16,
        "steps": 250,
        "cfg": 8.0,
        "sampler": "seine_ddpm",
        "scheduler": "seine",
        "format": "mp4",
        "mask": "first1",
        "resize_mode": "stretch",
        "weight_dtype": "fp16",
        "name": SAID.replace(" ", "_"),
        "number": 1,
    }


def test_the_published_transition(world):
    jobs, notes = found(world, TRANSITION)
    (job,) = jobs
    assert [image.name for image in job.images] == ["1-a-1.png", "2-b-2.png"]
    assert (job.kind, job.mask, job.width, job.height, job.seed) == ("transition", "onelast1", 512, 512, 0)
    assert (job.prompt, job.name) == ("smooth transitionsmooth transition.", "smooth_transition")
    assert all(isinstance(note, Note) for note in notes)
    assert "additional_prompt" in str(notes[0]) and "Thumbs.db" in str(notes[1])


GUIDE = [
    (
        {"num_frames": 24, "image_size": [360, 640], "num_sampling_steps": 200, "cfg_scale": 9, "seed": 42},
        IMAGE,
        "first1",
    ),
    (
        {"num_frames": 20, "image_size": [512, 512], "cfg_scale": 8.5, "num_sampling_steps": 250, "seed": 1234},
        "input/transition/1",
        "onelast1",
    ),
    ({"num_sampling_steps": 500, "cfg_scale": 10, "use_fp16": False}, IMAGE, "first1"),
    ({"num_sampling_steps": 50, "image_size": [320, 512]}, IMAGE, "first1"),
]


@pytest.mark.parametrize(("keys", "path", "mask"), GUIDE)
def test_examples_of_the_guide_which_leave_keys_out(world, keys, path, mask):
    job = only_job(world, {**keys, "input_path": path, "mask_type": mask, "text_prompt": ["a flower opens"]})
    height, width = keys.get("image_size", [240, 560])
    assert (job.width, job.height, job.frames) == (width, height, keys.get("num_frames", 16))
    assert (job.steps, job.cfg) == (keys["num_sampling_steps"], keys.get("cfg_scale", 8.0))
    assert (job.seed, job.sampler, job.mask) == (keys.get("seed"), "seine_ddpm", mask)
    assert job.weight_dtype == ("fp16" if keys.get("use_fp16", True) else "fp32")
    assert (job.prompt, job.name) == ("a flower opens", "a_flower_opens")


def test_a_folder_of_pairs_is_a_batch(world):
    jobs, _ = found(world, TRANSITION | {"input_path": "input/transition/", "additional_prompt": ""})
    assert [job.name for job in jobs] == ["1/smooth_transition", "2/smooth_transition", "10/smooth_transition"]
    assert [job.images[0].parent.name for job in jobs] == ["1", "2", "10"]


def test_a_folder_of_images_with_first1_is_a_batch(world):
    picture(world / "input/i2v/a_boat.jpg")
    jobs, _ = found(world, I2V | {"input_path": "input/i2v"})
    assert [job.name for job in jobs] == ["a_boat", SAID.replace(" ", "_")]


KEY_TABLE = {
    "ckpt": [],
    "pretrained_model_path": [],
    "save_path": [],
    "input_path": [],
    "num_frames": [(24, {"frames": 24}), ("24", {"frames": 24})],
    "image_size": [([325, 512], {"height": 320, "width": 512}), ([320, 512], {"height": 320, "width": 512})],
    "use_fp16": [(True, {"weight_dtype": "fp16"}), (False, {"weight_dtype": "fp32"})],
    "enable_xformers_memory_efficient_attention": [(True, {}), (False, {})],
    "seed": [(None, {"seed": None}), (0, {"seed": 0}), (42, {"seed": 42})],
    "run_time": [(13, {}), ("x", {})],
    "cfg_scale": [(7, {"cfg": 7.0}), (8.5, {"cfg": 8.5})],
    "sample_method": [("ddpm", {"sampler": "seine_ddpm"}), ("ddim", {"sampler": "ddim"})],
    "num_sampling_steps": [(50, {"steps": 50}), ("50", {"steps": 50})],
    "text_prompt": [
        (["a", "b"], {"prompt": "a, slow motion.", "name": "a"}),
        ("a plain text", {"prompt": "a plain text, slow motion.", "name": "a_plain_text"}),
        ([], {"prompt": f"{SAID}, slow motion."}),
        ("", {"prompt": f"{SAID}, slow motion."}),
        (None, {"prompt": f"{SAID}, slow motion."}),
    ],
    "additional_prompt": [("", {"prompt": SAID}), (" now", {"prompt": f"{SAID} now"}), ("x", {"prompt": f"{SAID}x"})],
    "negative_prompt": [("blurry", {"negative": "blurry"})],
    "do_classifier_free_guidance": [(False, {"cfg": 1.0}), (True, {"cfg": 8.0})],
    "mask_type": [("first3", {"mask": "first3"}), ("all", {"mask": "all", "kind": "text_to_video", "images": ()})],
    "use_mask": [(True, {})],
    "model": [("UNet", {})],
}


def test_every_key_is_in_the_table():
    assert set(KEY_TABLE) == set(KEYS)


@pytest.mark.parametrize(("key", "value", "wanted"), [(key, *case) for key in KEY_TABLE for case in KEY_TABLE[key]])
def test_what_a_key_becomes(world, key, value, wanted):
    job = only_job(world, I2V | {key: value})
    plain = only_job(world, I2V)
    assert {name: getattr(job, name) for name in wanted} == wanted
    if not wanted:
        assert job == plain


@pytest.mark.parametrize("key", sorted(set(KEYS) - {"input_path"}))
def test_every_key_but_the_input_may_be_left_out(world, key):
    given = {name: value for name, value in I2V.items() if name != key}
    job = only_job(world, given)
    expected = only_job(world, I2V | ({"additional_prompt": ""} if key == "additional_prompt" else {}))
    assert job == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_frame": 16}, "num_frame: there is no such key; the nearest is num_frames"),
        ({"Seed": 3}, "Seed: there is no such key; the nearest is seed"),
        ({"num_frames": "many"}, "num_frames: 'many' is not a whole number"),
        ({"num_frames": 0}, "num_frames: 0 is out of range; the nearest right one is 1"),
        ({"image_size": 512}, "image_size: 512 is not [height, width]"),
        ({"image_size": [4, 512]}, "image_size: 4 is out of range; the nearest right one is 8"),
        ({"use_fp16": "maybe"}, "use_fp16: 'maybe' is neither true nor false"),
        ({"seed": -1}, "seed: -1 is out of range; the nearest right one is 0"),
        ({"cfg_scale": "high"}, "cfg_scale: 'high' is not a number"),
        ({"sample_method": "ddmp"}, "sample_method: 'ddmp' is not known; the nearest right one is ddpm"),
        ({"num_sampling_steps": "ddim50"}, "num_sampling_steps: 'ddim50' spaces the steps"),
        ({"num_sampling_steps": "10,20,30"}, "the nearest right one is 60"),
        ({"text_prompt": {"a": 1}}, "text_prompt: {'a': 1} is not text"),
        ({"mask_type": "fisrt1"}, "mask_type: 'fisrt1' is not known; the nearest right one is first1"),
        ({"mask_type": "first20"}, "mask_type: first20 does not fit into 16 frames; the nearest right one is first16"),
        (
            {"mask_type": "onelast1"},
            "onelast1 wants a folder of images, and input_path is a file; the nearest right",
        ),
        ({"use_mask": False}, "use_mask: false is for a UNet of 4 channels"),
        ({"model": "DiT"}, "model: 'DiT' is not known; the nearest right one is UNet"),
        ({"input_path": "input/i2v/Close-up.png"}, "input_path: there is no input/i2v/Close-up.png"),
        ({"input_path": IMAGE.replace("Kodak", "Kodk")}, f"; the nearest is {IMAGE}"),
        ({"input_path": None}, "input_path: it is missing"),
    ],
)
def test_what_is_wrong_is_named_with_the_nearest_right_one(world, changes, words):
    jobs, others = found(world, I2V | changes)
    assert not jobs
    (problem,) = [str(item) for item in others if isinstance(item, Problem)]
    assert problem.startswith("sample.yaml: ") and words in problem


def test_all_that_is_wrong_is_said_at_once(world):
    _, others = found(world, I2V | {"num_frames": "x", "sed": 1, "cfg_scale": []})
    assert [str(item).split(": ")[1] for item in others] == ["sed", "num_frames", "cfg_scale"]


def test_omegaconfs_rules(world):
    job = only_job(world, f"input_path: {IMAGE}\nnum_frames: 12\ncfg_scale: 1e1\n")
    assert (job.cfg, job.frames) == (10.0, 12)
    job = only_job(world, f"input_path: {IMAGE}\nnum_frames: 24\nnum_sampling_steps: ${{num_frames}}\n")
    assert job.steps == 24
    for text in ("seed: 1\nseed: 2\n", "input_path: [\n", "seed: ???\n", "seed: ${nothing}\n"):
        with pytest.raises(NotASource, match="sample.yaml: it cannot be read"):
            found(world, text)


def test_a_relative_path_begins_in_the_working_folder_else_beside_the_file(world, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    assert only_job(world, I2V).images == (world / IMAGE,)
    picture(elsewhere / IMAGE)
    assert only_job(world, I2V).images == (elsewhere / IMAGE,)
