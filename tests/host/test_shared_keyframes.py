"""Prompts wired past SEINE Image to Video are for its clip too."""

import pytest
import torch
from safetensors.torch import save_file

from tests.graphs import FRAMES, SIZE, by_guider, clip, latents, node, sampled
from tools.hosting.client import ExecutionFailed

LORA = "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.lora_{}.weight"


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
    prompts = {"positive": ["clip", 0], "negative": ["clip", 1], "empty_conditioning": ["empty", 0]}
    graph["guider"] = node("PerpNegGuider", model=["model", 0], **prompts, cfg=3.0, neg_scale=1.0)
    found = latents(client, by_guider(graph))["latent"]
    assert found.shape == (FRAMES, 4, SIZE // 8, SIZE // 8) and found.isfinite().all()


def changed(graph, kind):
    """`graph` with its prompts behind a node that changes keyframes in the course of the sampling."""
    inputs = {"positive": ["clip", 0], "negative": ["clip", 1]}
    graph["changed"] = {
        "soft": node("SEINESoftKeyframes", **inputs, strength=0.5, given_frames=""),
        "camera": node("SEINECamera", **inputs, vae=["model", 2], pan=1.0, tilt=0.0, zoom=0.0, strength=0.6),
    }[kind]
    return graph


def regional(graph):
    graph["second"] = node(
        "ConditioningSetArea", conditioning=["text", 0], width=SIZE, height=SIZE, x=0, y=0, strength=0.7
    )


def hooked(graph):
    graph["hook"] = node("CreateHookLoraModelOnly", lora_name="hook.safetensors", strength_model=1.0)
    graph["second"] = node(
        "ConditioningSetProperties", cond_NEW=["text", 0], strength=1.0, set_cond_area="default", hooks=["hook", 0]
    )


def plain(graph):
    graph["second"] = node("ConditioningSetProperties", cond_NEW=["text", 0], strength=1.0, set_cond_area="default")


@pytest.fixture
def lora(server):
    folder = server.models / "loras"
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(1)
    parts = {"up": torch.randn(32, 2, generator=generator), "down": torch.randn(2, 32, generator=generator)}
    save_file({LORA.format(part): value for part, value in parts.items()}, folder / "hook.safetensors")


@pytest.mark.one_host
@pytest.mark.parametrize("kind", ["soft", "camera"])
@pytest.mark.parametrize("prompt", [plain, regional, hooked])
@pytest.mark.parametrize("first", [False, True])
def test_a_prompt_combined_behind_what_changes_them(client, lora, kind, prompt, first):
    """As if it had gone through all of it, before or behind the prompt that did."""

    def graph(combined, through):
        made = clip()
        made["text"] = node("CLIPTextEncode", text="a blue square", clip=["model", 1])
        prompt(made)
        parts = [["second", 0], [combined, 0]] if first else [[combined, 0], ["second", 0]]
        made["both"] = node("ConditioningCombine", conditioning_1=parts[0], conditioning_2=parts[1])
        changed(made, kind)
        if through:
            made["clip"]["inputs"]["positive"] = ["both", 0]
        return sampled(made, positive=["changed" if through else "both", 0], negative=["changed", 1])

    expected = latents(client, graph("positive", through=True))["latent"]
    assert torch.equal(latents(client, graph("changed", through=False))["latent"], expected)
    alone = sampled(changed(clip(), kind), positive=["changed", 0], negative=["changed", 1])
    assert not torch.equal(expected, latents(client, alone)["latent"])


def with_another_clip():
    """A clip with keyframes, and at "text" one without."""
    made = clip("first and last frames", images=2)
    made["text"] = node("SEINEImageToVideo", **(made["clip"]["inputs"] | {"mask": ["none", 0]}))
    made["none"] = node("SEINEMaskBuilder", **(made["mask"]["inputs"] | {"mode": "text to video"}))
    made["text"]["inputs"].pop("keyframes")
    return made


@pytest.mark.one_host
def test_a_negative_of_another_clip_that_cfg_1_leaves_out(client):
    graph = sampled(with_another_clip(), negative=["text", 1], cfg=1.0)
    assert latents(client, graph)["latent"].isfinite().all()
    graph["sample"]["inputs"]["sampler_name"] = "euler_cfg_pp"  # which asks for it all the same
    with pytest.raises(ExecutionFailed, match="The prompts of positive and negative are for different clips"):
        latents(client, graph)


@pytest.mark.one_host
def test_prompts_are_named_as_the_guider_s_inputs(client):
    graph = with_another_clip()
    prompts = {"cond1": ["clip", 0], "cond2": ["text", 0], "negative": ["clip", 1]}
    graph["guider"] = node(
        "DualCFGGuider", model=["model", 0], **prompts, cfg_conds=3.0, cfg_cond2_negative=2.0, style="regular"
    )
    with pytest.raises(ExecutionFailed, match="The prompts of cond1 and cond2 are for different clips"):
        latents(client, by_guider(graph))


def test_a_prompt_with_a_hook_and_of_another_clip(client, lora):
    """The host compares no prompts of different hooks."""
    made = with_another_clip()
    hooked(made)
    made["both"] = node("ConditioningCombine", conditioning_1=["clip", 0], conditioning_2=["second", 0])
    with pytest.raises(ExecutionFailed, match="The prompts of positive are for different clips"):
        latents(client, sampled(made, positive=["both", 0]))


@pytest.mark.parametrize(("wired", "fits"), [("empty", False), ("clip", True)])
def test_a_prompt_that_a_model_brings(client, wired, fits):
    """The deprecated Perp-Neg samples it past the guider, so that it takes nothing of the others."""
    made = clip()
    made["empty"] = node("CLIPTextEncode", text="", clip=["model", 1])
    made["perp"] = node("PerpNeg", model=["model", 0], empty_conditioning=[wired, int(fits)], neg_scale=1.0)
    graph = sampled(made, model=["perp", 0])
    if fits:
        assert latents(client, graph)["latent"].isfinite().all()
    else:
        with pytest.raises(ExecutionFailed, match="model: a node on it .* use a guider instead"):
            latents(client, graph)


@pytest.mark.parametrize("kind", ["soft", "camera"])
def test_a_prompt_that_a_model_brings_and_that_changes(client, kind):
    made = changed(clip(), kind)
    made["perp"] = node("PerpNeg", model=["model", 0], empty_conditioning=["changed", 1], neg_scale=1.0)
    graph = sampled(made, model=["perp", 0], positive=["changed", 0], negative=["changed", 1])
    with pytest.raises(ExecutionFailed, match="for a clip of 4 frames with keyframes for a part of the sampling"):
        latents(client, graph)


def test_a_clip_without_keyframes_goes_with_a_prompt_of_a_model(client):
    made = clip("text to video", images=0)
    made["perp"] = node("PerpNeg", model=["model", 0], empty_conditioning=["negative", 0], neg_scale=1.0)
    assert latents(client, sampled(made, model=["perp", 0]))["latent"].isfinite().all()


@pytest.mark.parametrize("kind", ["soft", "camera"])
@pytest.mark.parametrize("ranges", [[(0.0, 1.0)], [(0.0, 0.4), (0.4, 1.0)]])
def test_a_timestep_range_behind_what_changes_them(client, kind, ranges):
    """The whole range changes nothing, and neither do ranges that make the whole."""
    made = changed(clip(), kind)
    expected = latents(client, sampled(made, positive=["changed", 0], negative=["changed", 1]))["latent"]
    before = None
    for index, (start, end) in enumerate(ranges):
        name = f"range {index}"
        made[name] = node("ConditioningSetTimestepRange", conditioning=["changed", 0], start=start, end=end)
        if before:
            made["both"] = node("ConditioningCombine", conditioning_1=[before, 0], conditioning_2=[name, 0])
            name = "both"
        before = name
    found = latents(client, sampled(made, positive=[before, 0], negative=["changed", 1]))["latent"]
    assert torch.equal(found, expected)
    half = node("ConditioningSetTimestepRange", conditioning=["changed", 0], start=0.0, end=0.4)
    halved = sampled(made | {"half": half}, positive=["half", 0], negative=["changed", 1])
    assert not torch.equal(latents(client, halved)["latent"], expected)
