"""AnimateDiff-Evolved: its prompt schedules, its sampling, context windows and noise, on SEINE's MODEL."""

import pytest
import torch

from tests.graphs import FRAMES, clip, latents, node, sampled
from tests.packs.packs import needs_packs
from tools.hosting.client import ExecutionFailed
from tools.hosting.model_files import SMALL_MODEL

pytestmark = [pytest.mark.one_host, needs_packs]
SCHEDULE = '"0": "a red ball moves left",\n"2": "a blue square moves up"'


def evolved(graph: dict, **inputs) -> dict:
    """`graph` sampled with Evolved Sampling around its MODEL."""
    settings = {"model": ["model", 0], "beta_schedule": "use existing"}
    graph = {**graph, "evolved": node("ADE_UseEvolvedSampling", **(settings | inputs))}
    return sampled(graph, model=["evolved", 0])


def windows(length: int, overlap: int, **changes) -> dict:
    return node("ADE_StandardStaticContextOptions", context_length=length, context_overlap=overlap, **changes)


def scheduled(schedule: str, frames: int = FRAMES) -> dict:
    graph = clip(frames=frames, model_name=SMALL_MODEL)
    graph["positive"] = node("ADE_PromptScheduling", prompts=schedule, clip=["model", 1], max_length=frames)
    return graph


def test_each_frame_has_its_prompt_of_the_schedule(client):
    """As SEINE Prompt Travel of the same prompts has it; a schedule of one prompt is that prompt."""
    ours = clip(model_name=SMALL_MODEL)
    script = "0: a red ball moves left\n2: a blue square moves up"
    ours["positive"] = node("SEINEPromptTravel", clip=["model", 1], prompts=script, frames=FRAMES, between="blend")
    made, travelled, one, plain = (
        latents(client, sampled(graph))["latent"]
        for graph in (
            scheduled(SCHEDULE),
            ours,
            scheduled('"0": "a red ball moves left"'),
            clip(model_name=SMALL_MODEL),
        )
    )
    scale = plain.abs().max()
    assert (made - travelled).abs().max() <= 1e-4 * scale
    assert (one - plain).abs().max() <= 1e-4 * scale
    assert (made - plain).abs().max() > 1e-2 * scale


def test_schedule_of_the_length_of_a_latent(client):
    graph = clip(model_name=SMALL_MODEL)
    graph["size"] = node("EmptyLatentImage", width=64, height=64, batch_size=FRAMES)
    prompts = {"prompts": SCHEDULE, "clip": ["model", 1]}
    graph["positive"] = node("ADE_PromptSchedulingLatents", **prompts, latent=["size", 0])
    found = latents(client, sampled(graph))["latent"]
    assert found.equal(latents(client, sampled(scheduled(SCHEDULE)))["latent"])


def test_evolved_sampling_alone_changes_nothing(client):
    graph = clip(model_name=SMALL_MODEL)
    assert latents(client, evolved(graph))["latent"].equal(latents(client, sampled(graph))["latent"])


def test_windows_are_clips_of_their_own(client):
    """Without overlap each window is as if it was sampled alone, with its own frames of mask and keyframes."""
    graph = clip("custom keyframes", frames=8, images=2, indices="0, 5", model_name=SMALL_MODEL)
    graph["context"] = windows(4, 0)
    graph = evolved(graph, context_options=["context", 0])
    alone = clip("custom keyframes", frames=4, images=1, indices="1", model_name=SMALL_MODEL)
    graph |= {"own mask": alone["mask"], "own keyframes": alone["keyframes"]}
    inputs = {**alone["clip"]["inputs"], "mask": ["own mask", 0], "keyframes": ["own keyframes", 0]}
    graph["own"] = node("SEINEImageToVideo", **inputs)
    graph["cut"] = node("LatentFromBatch", samples=["clip", 2], batch_index=4, length=4)
    sample = {**graph["sample"]["inputs"], "model": ["model", 0], "latent_image": ["cut", 0]}
    graph["apart"] = node("SEINEKSampler", **{**sample, "positive": ["own", 0], "negative": ["own", 1]})
    graph["saved"] = node("SaveLatent", samples=["apart", 0], filename_prefix="latents/test")
    found = latents(client, graph)
    assert (found["latent"][4:] - found["saved"]).abs().max() <= 1e-4 * found["latent"].abs().max()


def test_schedule_in_windows_that_overlap(client):
    graph = scheduled('"0": "a red ball moves left",\n"10": "a blue square moves up"', frames=12)
    graph["context"] = windows(8, 4)
    found = latents(client, evolved(graph, context_options=["context", 0]))["latent"]
    graph["positive"] = node("CLIPTextEncode", text="a red ball moves left", clip=["model", 1])
    plain = latents(client, evolved(graph, context_options=["context", 0]))["latent"]
    assert len(found) == 12 and torch.isfinite(found).all()
    assert (found[-1] - plain[-1]).abs().max() > 1e-2 * plain.abs().max()


def test_windows_over_several_clips_are_refused(client):
    graph = clip(frames=4, videos=2, model_name=SMALL_MODEL)
    graph["context"] = windows(4, 2)
    with pytest.raises(ExecutionFailed, match="set batch_size of SEINE Image to Video to 1"):
        client.run(evolved(graph, context_options=["context", 0]))


@pytest.mark.parametrize(
    ("setting", "inputs"),
    [("noise_type", "constant"), ("noise_type", "FreeNoise"), ("seed_gen", "auto1111"), ("seed_offset", 3)],
)
def test_sample_settings_act(client, setting, inputs):
    graph = clip(model_name=SMALL_MODEL)
    settings = {"batch_offset": 0, "noise_type": "default", "seed_gen": "comfy", "seed_offset": 0}
    graph["settings"] = node("ADE_AnimateDiffSamplingSettings", **(settings | {setting: inputs}))
    graph["context"] = windows(2, 1)
    given = {"context_options": ["context", 0]}
    found = latents(client, evolved(graph, **given, sample_settings=["settings", 0]))["latent"]
    plain = latents(client, evolved(graph, **given))["latent"]
    assert torch.isfinite(found).all() and not found.equal(plain)


def test_a_beta_schedule_acts(client):
    graph = clip(model_name=SMALL_MODEL)
    found = latents(client, evolved(graph, beta_schedule="sqrt_linear (AnimateDiff)"))["latent"]
    assert not found.equal(latents(client, sampled(graph))["latent"])
