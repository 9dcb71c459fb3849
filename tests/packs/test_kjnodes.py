"""KJNodes: what acts on SEINE's MODEL, conditioning and frames, and what is for other models and says so."""

import pytest
import torch

from tests.graphs import FRAMES, SIZE, clip, images, latents, node, sampled
from tests.packs.packs import needs_packs
from tools.hosting.client import ExecutionFailed
from tools.hosting.model_files import SMALL_MODEL

pytestmark = [pytest.mark.one_host, needs_packs]


def patched(node_type: str, **inputs) -> dict:
    graph = clip(model_name=SMALL_MODEL)
    graph["patched"] = node(node_type, model=["model", 0], **inputs)
    return sampled(graph, model=["patched", 0])


def plain() -> dict:
    return sampled(clip(model_name=SMALL_MODEL))


def test_zero_star_acts(client):
    found = latents(client, patched("CFGZeroStarAndInit", use_zero_init=False, zero_init_steps=0))["latent"]
    assert torch.isfinite(found).all() and not found.equal(latents(client, plain())["latent"])


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("ModelPassThrough", {}),
        ("ModelMemoryUsageFactorOverride", {"memory_usage_factor": 2.0}),
        ("ModelPatchTorchSettings", {"enable_fp16_accumulation": False}),
        ("PathchSageAttentionKJ", {"sage_attention": "disabled"}),
    ],
)
def test_those_that_change_no_picture_change_none(client, name, inputs):
    assert latents(client, patched(name, **inputs))["latent"].equal(latents(client, plain())["latent"])


@pytest.mark.parametrize(
    ("name", "inputs", "words"),
    [
        ("SkipLayerGuidanceWanVideo", {"blocks": "10", "start_percent": 0.2, "end_percent": 1.0}, "patched its dit"),
        ("WanChunkFeedForward", {"chunks": 2, "dim_threshold": 4096}, "no attribute 'blocks'"),
        ("LTXVChunkFeedForward", {"chunks": 2, "dim_threshold": 4096}, "no attribute 'transformer_blocks'"),
        ("LTX2_NAG", {"nag_scale": 11.0, "nag_alpha": 0.25, "nag_tau": 2.5}, "no attribute 'inner_dim'"),
    ],
)
def test_nodes_for_other_models_are_refused(client, name, inputs, words):
    with pytest.raises(ExecutionFailed) as error:
        client.run(patched(name, **inputs))
    assert words in error.value.exception_message


def test_guidance_in_a_part_of_the_steps(client):
    """Its guider with all of the steps is core's, with none of them that of cfg 1."""

    def made(guider: str, **inputs) -> torch.Tensor:
        graph = clip(model_name=SMALL_MODEL)
        given = {"model": ["model", 0], "positive": ["clip", 0], "negative": ["clip", 1]}
        graph["guider"] = node(guider, **given, **inputs)
        graph["noise"] = node("RandomNoise", noise_seed=1)
        graph["sigmas"] = node("SEINEScheduler", model=["model", 0], steps=4, denoise=1.0)
        graph["sampler"] = node("KSamplerSelect", sampler_name="euler")
        parts = {name: [name, 0] for name in ("noise", "guider", "sampler", "sigmas")}
        graph["custom"] = node("SamplerCustomAdvanced", **parts, latent_image=["clip", 2])
        graph["latent"] = node("SaveLatent", samples=["custom", 0], filename_prefix="latents/test")
        return latents(client, graph)["latent"]

    whole = made("ScheduledCFGGuidance", cfg=6.0, start_percent=0.0, end_percent=1.0)
    part = made("ScheduledCFGGuidance", cfg=6.0, start_percent=0.0, end_percent=0.4)
    plain = made("CFGGuider", cfg=6.0)
    assert (whole - plain).abs().max() <= 1e-4 * plain.abs().max()
    assert (part - plain).abs().max() > 1e-3 * plain.abs().max()


def test_differential_diffusion_acts_on_the_frames_of_its_mask(client):
    graph = sampled(clip(model_name=SMALL_MODEL))
    graph["fade"] = node(
        "CreateFadeMask",
        **{"invert": False, "frames": FRAMES, "width": SIZE, "height": SIZE, "interpolation": "linear"},
        **{"start_level": 0.0, "midpoint_level": 0.5, "end_level": 1.0, "midpoint_frame": 0},
    )
    given = {"model": ["model", 0], "samples": ["sample", 0], "mask": ["fade", 0], "multiplier": 1.0}
    graph["differing"] = node("DifferentialDiffusionAdvanced", **given)
    again = {"model": ["differing", 0], "latent_image": ["differing", 1], "seed": 9}
    graph["again"] = node("SEINEKSampler", **(graph["sample"]["inputs"] | again))
    graph["second"] = node("SaveLatent", samples=["again", 0], filename_prefix="latents/test")
    found = latents(client, graph)
    moved = (found["second"] - found["latent"]).abs().flatten(1).amax(1)
    assert moved[0] <= 0.1 * moved[-1] and moved[-1] > 0.01


def test_colours_of_a_clip_are_matched(client):
    graph = sampled(clip(model_name=SMALL_MODEL))
    graph["decode"] = node("VAEDecode", samples=["sample", 0], vae=["model", 2])
    graph["match"] = node("ColorMatch", image_ref=["keyframes", 0], image_target=["decode", 0], method="reinhard")
    graph["match"]["inputs"] |= {"strength": 1.0, "multithread": False}
    graph["part"] = node("GetImageRangeFromBatch", images=["match", 0], start_index=1, num_frames=2)
    graph["save"] = node("SaveImage", images=["part", 0], filename_prefix="frames")
    assert images(client, graph)["save"].shape == (2, SIZE, SIZE, 3)
