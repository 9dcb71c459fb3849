"""SEINE as a MODEL of a running ComfyUI: what must agree agrees, what must differ differs."""

import pytest

ROUNDING = 1e-4
"""Relative difference of two samples that only sum up in another order."""
VISIBLE = 1e-2


@pytest.fixture(scope="session")
def facts(run_in_host):
    return run_in_host("model.py")


def test_a_seed_is_a_clip(facts):
    repeats = facts["repeats"]
    assert repeats["same seed"] == 0
    for other in ("other seed", "other prompt", "other keyframes", "no keyframes"):
        assert repeats[other] > VISIBLE, other


def test_two_videos_in_one_batch_equal_the_two_apart(facts):
    videos = facts["two_videos"]
    assert videos["first"] <= ROUNDING
    assert videos["second"] <= ROUNDING
    assert videos["from each other"] > VISIBLE


def test_guidance_halves_batched_or_split(facts):
    halves = facts["guidance_halves"]
    assert (halves["batched rows"], halves["split rows"]) == ([16], [8])
    assert halves["difference"] <= ROUNDING


def test_a_stable_diffusion_lora_changes_the_sample(facts):
    lora = facts["lora"]
    assert lora["patched"] == lora["expected"] > 0
    assert lora["strength 0"] <= ROUNDING
    assert lora["strength 1"] > VISIBLE
    assert lora["afterwards"] == 0


def test_patches_reach_their_blocks(facts):
    patches = facts["patches"]
    seen = patches["seen"]
    assert patches["difference"] <= ROUNDING
    assert patches["without temporal attention"] > ROUNDING
    blocks = {(kind, index) for kind, index in seen["input"]}
    assert blocks == {("input", i) for i in range(8)}  # one layer per block in the small model
    assert {(kind, index) for kind, index in seen["output"]} == {("output", i) for i in range(8)}
    assert seen["attn1 replaced"] == [["middle", 0]]
    assert seen["attn2 replaced"] == [["input", 1]]
    assert seen["temporal"] == [["output", 3]]
    assert seen["attn1"] == seen["attn2"] and len(seen["attn1"]) == 10


def test_controlnet_residuals_are_added(facts):
    assert facts["control"]["zero"] == 0
    assert facts["control"]["some"] > VISIBLE


def test_a_mask_on_the_sampler_keeps_the_latent_s_frames(facts):
    kept = facts["mask_from_latent"]
    assert kept["difference"] == 0
    assert kept["overrides conditioning"] == 0
    assert kept["half denoised"] > VISIBLE


def test_the_schedule_is_part_of_the_model(run_in_host):
    schedules = run_in_host("schedules.py")
    assert schedules["sigma max"] == pytest.approx(157.407, abs=1e-3)
    assert schedules["sigma min"] == pytest.approx(0.0100005, abs=1e-6)
    assert schedules["timesteps"] == [999, 888, 777, 666, 555, 444, 333, 222, 111, 0]
    assert schedules["last"] == 0
    assert schedules["half"] == 11
    assert schedules["names"] == ["seine_ddpm", "seine"]
    assert schedules["stock lengths"] == [6, 6, 6]


def test_a_second_pass_at_another_size(facts):
    assert facts["second_pass"]["shape"] == [8, 4, 12, 12]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("foreign negative", "Wire both through SEINE Image to Video"),
        ("foreign negative, stock sampler", "Wire both through SEINE Image to Video"),
        ("foreign negative, two clips", "positive and negative are for different clips"),
        ("foreign negative unused", "no error"),
        ("text width", "1024 wide, this SEINE model reads 64"),
        ("frames of conditioning", "clips of 8 frames, the latent has 5"),
        ("frames of mask", "mask: it has 8 frames, the latent has 5"),
        ("partial mask", "frame 0 is partly kept"),
        ("other model", "not a SEINE model"),
        ("one step", "at least 2 steps"),
        ("five-dimensional latent", "frames as batch rows"),
    ],
)
def test_errors_name_the_input_and_the_remedy(facts, case, words):
    assert words in facts["errors"][case]
