"""The host's context windows over long clips, with our masks, keyframes and prompts."""

import pytest
import torch

from tests.graphs import FRAMES, SIZE, clip, latents, node, sampled, saving, windows

LATENT = (FRAMES, 4, SIZE // 8, SIZE // 8)


@pytest.mark.parametrize("freenoise", [False, True])
def test_context_windows_over_a_long_clip(client, freenoise):
    graph = windows(clip("custom keyframes", frames=32, images=3, indices="0, 15, 31"), freenoise=freenoise)
    result = latents(client, sampled(graph, model=["windows", 0]))
    assert result["latent"].shape == (32, *LATENT[1:])
    assert torch.isfinite(result["latent"]).all()


def test_windows_that_do_not_overlap_are_clips_of_their_own(client):
    """The second window must see its own slice of mask and keyframes: the same as sampling those 16 frames alone."""
    graph = windows(
        clip("custom keyframes", frames=32, images=2, indices="0, 20"),
        **apart(),
    )
    graph = sampled(graph, model=["windows", 0])
    alone = clip("custom keyframes", frames=16, images=1, indices="4")
    graph["own mask"] = alone["mask"]
    graph["own keyframes"] = alone["keyframes"]
    graph["own"] = node(
        "SEINEImageToVideo",
        **{**alone["clip"]["inputs"], "mask": ["own mask", 0], "keyframes": ["own keyframes", 0]},
    )
    graph["whole"] = node("SEINEImageToVideo", **{**graph["clip"]["inputs"]})
    graph["cut"] = node("LatentFromBatch", samples=["whole", 2], batch_index=16, length=16)
    sample = {**graph["sample"]["inputs"], "model": ["model", 0], "latent_image": ["cut", 0]}
    graph["apart"] = node("SEINEKSampler", **{**sample, "positive": ["own", 0], "negative": ["own", 1]})
    result = latents(client, saving(graph, "apart", "saved"))
    scale = result["latent"].abs().max()
    assert (result["latent"][16:] - result["saved"]).abs().max() <= 1e-4 * scale


def test_context_windows_refuse_several_videos(client):
    graph = sampled(windows(clip(frames=16, videos=2)), model=["windows", 0])
    with pytest.raises(Exception, match="set batch_size of SEINE Image to Video to 1"):
        client.run(graph)


def apart(**changes):
    """Windows of 16 frames that do not overlap."""
    settings = {"context_overlap": 0, "context_schedule": "batched", "fuse_method": "flat", "causal_window_fix": False}
    return settings | changes


def test_each_window_reads_its_own_prompt(client):
    """Prompts joined by Conditioning Combine go to the windows in turn: as if each was sampled alone."""
    graph = clip("custom keyframes", frames=32, images=1, indices="0", prompt="a red ball")
    graph["second"] = node("CLIPTextEncode", text="a white cross", clip=["model", 1])
    graph["second clip"] = node("SEINEImageToVideo", **{**graph["clip"]["inputs"], "positive": ["second", 0]})
    graph["both"] = node("ConditioningCombine", conditioning_1=["clip", 0], conditioning_2=["second clip", 0])
    graph = windows(graph, **apart(split_conds_to_windows=True))
    graph = sampled(graph, model=["windows", 0], positive=["both", 0])
    inputs = graph["sample"]["inputs"]
    for name, prompt in (("one prompt", "clip"), ("other prompt", "second clip")):
        graph[name] = node("SEINEKSampler", **{**inputs, "positive": [prompt, 0]})
        graph = saving(graph, name, f"saved {name}")
    result = latents(client, graph)
    scale = result["latent"].abs().max()
    first, second = result["saved one prompt"], result["saved other prompt"]
    assert (result["latent"][:16] - first[:16]).abs().max() <= 1e-4 * scale
    assert (result["latent"][16:] - second[16:]).abs().max() <= 1e-4 * scale
    assert (first[16:] - second[16:]).abs().max() > 1e-3 * scale, "the prompts make a difference"


def test_closed_loop(client):
    graph = windows(
        clip("custom keyframes", frames=32, images=1, indices="0"),
        context_schedule="looped_uniform",
        context_overlap=8,
        closed_loop=True,
        causal_window_fix=False,
    )
    opened = {**graph, "windows": node("ContextWindowsManual", **{**graph["windows"]["inputs"], "closed_loop": False})}
    closed, opened = (latents(client, sampled(each, model=["windows", 0]))["latent"] for each in (graph, opened))
    assert closed.shape == (32, *LATENT[1:]) and torch.isfinite(closed).all()
    assert not torch.equal(closed, opened)
