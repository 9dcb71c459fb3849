"""Prompts wired past SEINE Image to Video are for its clip too."""

import pytest
import torch

from tests.graphs import FRAMES, SIZE, clip, latents, node, sampled


@pytest.mark.parametrize("sampler", ["SEINEKSampler", "KSampler"])
@pytest.mark.parametrize("videos", [1, 2])
def test_a_negative_that_went_past_it(client, sampler, videos):
    through = latents(client, sampled(clip(videos=videos), sampler))["latent"]
    past = latents(client, sampled(clip(videos=videos), sampler, negative=["negative", 0]))["latent"]
    assert torch.equal(past, through)


def test_a_prompt_combined_behind_it(client):
    """As if both had gone through it."""
    graph = clip()
    graph["second"] = node("CLIPTextEncode", text="a blue square", clip=["model", 1])
    behind = dict(graph)
    behind["both"] = node("ConditioningCombine", conditioning_1=["clip", 0], conditioning_2=["second", 0])
    before = {key: dict(value, inputs=dict(value["inputs"])) for key, value in graph.items()}
    before["both"] = node("ConditioningCombine", conditioning_1=["positive", 0], conditioning_2=["second", 0])
    before["clip"]["inputs"]["positive"] = ["both", 0]
    expected = latents(client, sampled(before))["latent"]
    found = latents(client, sampled(behind, positive=["both", 0]))["latent"]
    assert torch.equal(found, expected)
    assert not torch.equal(found, latents(client, sampled(clip()))["latent"])


def test_the_empty_prompt_of_a_guider(client):
    graph = clip()
    graph["empty"] = node("CLIPTextEncode", text="", clip=["model", 1])
    graph["noise"] = node("RandomNoise", noise_seed=3)
    graph["sigmas"] = node("SEINEScheduler", model=["model", 0], steps=3, denoise=1.0)
    graph["sampler"] = node("KSamplerSelect", sampler_name="ddim")
    prompts = {"positive": ["clip", 0], "negative": ["clip", 1], "empty_conditioning": ["empty", 0]}
    graph["guider"] = node("PerpNegGuider", model=["model", 0], **prompts, cfg=3.0, neg_scale=1.0)
    wired = {name: [name, 0] for name in ("noise", "guider", "sampler", "sigmas")}
    graph["sample"] = node("SamplerCustomAdvanced", **wired, latent_image=["clip", 2])
    graph["latent"] = node("SaveLatent", samples=["sample", 0], filename_prefix="latents/test")
    found = latents(client, graph)["latent"]
    assert found.shape == (FRAMES, 4, SIZE // 8, SIZE // 8) and found.isfinite().all()
