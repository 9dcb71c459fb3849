"""Keyframes that are kept for a part of the sampling."""

import pytest
import torch

from tests.graphs import clip, latents, node, sampled, saving
from tools.hosting.client import ExecutionFailed

STEPS = 4


def graph(*softened, images=2, **settings):
    """A transition, each of `softened` a strength and the frames it is for, one node behind the other."""
    made = clip("first and last frames" if images == 2 else "text to video", images=images)
    before = "clip"
    for index, (strength, frames) in enumerate(softened):
        name = f"soft {index}"
        given = {"positive": [before, 0], "negative": [before, 1], "strength": strength, "given_frames": frames}
        made[name], before = node("SEINESoftKeyframes", **given), name
    return sampled(made, steps=STEPS, positive=[before, 0], negative=[before, 1], **settings)


def run(client, *softened, **settings):
    return latents(client, graph(*softened, **settings))["latent"]


def test_all_of_it_is_nothing_and_none_of_it_is_text_alone(client):
    plain = run(client)
    assert torch.equal(run(client, (1.0, "")), plain)
    free = run(client, (0.0, ""))
    assert torch.equal(free, run(client, images=0)) and not torch.equal(free, plain)
    half = run(client, (0.5, ""))
    assert not torch.equal(half, plain) and not torch.equal(half, free)


def test_they_are_kept_at_first(client):
    """In so many of the steps, and not in the next."""

    def stopped(end, *softened):
        made = graph(*softened)
        settings = made["sample"]["inputs"]
        settings.pop("denoise")
        settings["scheduler"] = "simple"  # its timesteps are 999, 749, 499 and 249
        settings["noise_seed"] = settings.pop("seed")
        settings |= {
            "add_noise": "enable",
            "start_at_step": 0,
            "end_at_step": end,
            "return_with_leftover_noise": "enable",
        }
        made["sample"] = node("KSamplerAdvanced", **settings)
        return latents(client, made)["latent"]

    assert torch.equal(stopped(2, (0.5, "")), stopped(2))
    assert not torch.equal(stopped(3, (0.5, "")), stopped(3))


def test_a_step_at_the_strength_itself(client):
    """There the host takes both parts of a prompt, one of which is a clip without keyframes."""
    settings = {"scheduler": "sgm_uniform"}  # of 4 steps the third is in the middle of the schedule
    half = run(client, (0.5, ""), **settings)
    assert half.isfinite().all()
    assert not torch.equal(half, run(client, (0.49, ""), **settings))
    assert not torch.equal(half, run(client, (0.51, ""), **settings))


def test_each_frame_has_a_strength_of_its_own(client):
    one_by_one = run(client, (0.3, "-1"), (0.6, "0"))
    assert torch.equal(one_by_one, run(client, (0.6, "0"), (0.3, "-1")))
    assert not torch.equal(one_by_one, run(client, (0.6, "")))
    assert torch.equal(run(client, (0.6, "0, -1")), run(client, (0.6, "")))


def test_it_is_the_host_s_own_timestep_range(client):
    made = graph()
    made["free"] = node("SEINESoftKeyframes", positive=["clip", 0], negative=["clip", 1], strength=0.0, given_frames="")
    for index, name in enumerate(("positive", "negative")):
        for part, (start, end) in {"clip": (0.0, 0.5), "free": (0.5, 1.0)}.items():
            made[f"{name} {part}"] = node(
                "ConditioningSetTimestepRange", conditioning=[part, index], start=start, end=end
            )
        parts = {f"conditioning_{n}": [f"{name} {part}", 0] for n, part in ((1, "clip"), (2, "free"))}
        made[f"all {name}"] = node("ConditioningCombine", **parts)
        made["sample"]["inputs"][name] = [f"all {name}", 0]
    assert torch.equal(latents(client, made)["latent"], run(client, (0.5, "")))


@pytest.mark.parametrize(
    ("softened", "images", "words"),
    [
        ((0.5, ""), 0, "positive: it carries no keyframes to soften"),
        ((0.5, "1"), 2, "given_frames: frame 1 has no image; those that have are 0, 3"),
        ((0.5, "9"), 2, "given_frames: frame 9 has no image"),
        ((0.5, "last"), 2, "given_frames: frame indices must be whole numbers"),
    ],
)
def test_what_cannot_be_softened_is_said(client, softened, images, words):
    strength, frames = softened
    with pytest.raises(ExecutionFailed, match=words):
        run(client, (strength, frames), images=images)


def test_a_clip_of_given_frames_alone(client):
    made = graph((0.5, ""))
    made["mask"]["inputs"] |= {"count": 2, "mode": "first and last frames"}
    made["keyframes"]["inputs"]["batch_size"] = 4
    with pytest.raises(ExecutionFailed, match="positive: all of its frames are given"):
        client.run(saving(made, "sample"))


def test_prompts_of_two_clips(client):
    made = graph((0.5, ""))
    made["other mask"] = node("SEINEMaskBuilder", **(made["mask"]["inputs"] | {"frames": 5}))
    made["other"] = node("SEINEImageToVideo", **(made["clip"]["inputs"] | {"mask": ["other mask", 0]}))
    made["both"] = node("ConditioningCombine", conditioning_1=["clip", 0], conditioning_2=["other", 0])
    made["soft 0"]["inputs"]["positive"] = ["both", 0]
    with pytest.raises(ExecutionFailed, match="positive: its prompts are for clips of 4 and of 5 frames"):
        client.run(made)
