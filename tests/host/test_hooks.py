"""Hook LoRAs of the host on the text encoder, which scheduled encodes each prompt for each range of the steps."""

import pytest

from tests.graphs import clip, latents, node, sampled
from tools.hosting.client import ExecutionFailed

TEXT = "lora_te_text_model_encoder_layers_0_self_attn_v_proj.lora_{}.weight"
PROMPT = "a red ball moves left"


@pytest.fixture(scope="session")
def text_lora(write_lora) -> str:
    return write_lora("text-only", TEXT, 64)


def hooked(lora: str, keyframes: dict[float, float], **positive) -> dict:
    """A clip whose CLIP, at "hooked", has a hook LoRA with a strength from each share of the steps on."""
    graph = sampled(clip("text to video", images=0), steps=4)
    graph["hook"] = node("CreateHookLora", lora_name=lora, strength_model=0.0, strength_clip=1.0)
    hooks = ["hook", 0]
    for number, (start, strength) in enumerate(keyframes.items()):
        before = {"prev_hook_kf": [str(number - 1), 0]} if number else {}
        graph[str(number)] = node("CreateHookKeyframe", strength_mult=strength, start_percent=start, **before)
        graph["scheduled"] = node("SetHookKeyframes", hooks=["hook", 0], hook_kf=[str(number), 0])
        hooks = ["scheduled", 0]
    graph["hooked"] = node("SetClipHooks", clip=["model", 1], apply_to_conds=False, schedule_clip=True, hooks=hooks)
    graph["positive"] = node(**positive) if positive else node("CLIPTextEncode", text=PROMPT, clip=["hooked", 0])
    return graph


def travel(script: str) -> dict:
    return {"node_type": "SEINEPromptTravel", "clip": ["hooked", 0], "prompts": script, "frames": 4, "between": "hold"}


def test_a_travelling_prompt_has_all_ranges_of_a_scheduled_clip(client, text_lora):
    """One prompt for all frames is that prompt, whatever encodes it."""
    schedule = {0.0: 1.0, 0.5: 0.2}
    wanted = latents(client, hooked(text_lora, schedule))["latent"]
    assert latents(client, hooked(text_lora, schedule, **travel(f"0: {PROMPT}")))["latent"].equal(wanted)
    steady = latents(client, hooked(text_lora, {0.0: 1.0}))["latent"]
    assert not steady.equal(wanted), "the second range must matter"


def test_each_range_has_the_prompts_of_all_frames(client, text_lora):
    """A prompt that changes at the last frame changes that one most, in the second range too."""
    schedule = {0.0: 0.0, 0.5: 1.0}
    plain = latents(client, hooked(text_lora, schedule, **travel(f"0: {PROMPT}")))["latent"]
    found = latents(client, hooked(text_lora, schedule, **travel(f"0: {PROMPT}\n3: a blue cross")))["latent"]
    assert (found - plain).abs().mean((1, 2, 3)).argmax() == 3
    assert found.isfinite().all()


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_a_lora_of_the_text_encoder_alone_acts_as_a_hook(client, text_lora, strength):
    """As through the stock loader of model and text encoder."""
    graph = hooked(text_lora, {})
    graph["hook"]["inputs"]["strength_model"] = strength
    graph["hooked"]["inputs"]["apply_to_conds"] = True
    loaded = hooked(text_lora, {})
    loaded["hooked"] = node(
        "LoraLoader", model=["model", 0], clip=["model", 1], lora_name=text_lora, strength_model=1.0, strength_clip=1.0
    )
    loaded["positive"]["inputs"]["clip"] = ["hooked", 1]
    wanted = latents(client, loaded)["latent"]
    assert (latents(client, graph)["latent"] - wanted).abs().max() < 1e-4 * wanted.abs().max()
    loaded["hooked"]["inputs"]["strength_clip"] = 0.0
    assert not latents(client, loaded)["latent"].equal(wanted)


@pytest.mark.parametrize(
    ("key", "strength_clip"),
    [(TEXT, 0.0), ("down_blocks.0.motion_modules.0.temporal_transformer.to_q_lora.{}.weight", 1.0)],
)
def test_a_hook_that_acts_on_nothing_is_refused(client, write_lora, key, strength_clip):
    graph = hooked(write_lora(f"nothing-{strength_clip}", key, 64), {})
    graph["hook"]["inputs"] |= {"strength_model": 1.0, "strength_clip": strength_clip}
    graph["hooked"]["inputs"]["apply_to_conds"] = True
    with pytest.raises(ExecutionFailed, match="hook LoRA: nothing in its file is for SEINE's network"):
        client.run(graph)


def test_a_hook_of_another_width_is_refused(client, write_lora):
    key = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_{}.weight"
    graph = hooked(write_lora("wide-hook", key, 128), {})
    graph["hook"]["inputs"]["strength_model"] = 1.0
    graph["hooked"]["inputs"]["apply_to_conds"] = True
    with pytest.raises(ExecutionFailed, match="hook LoRA: 1 of 1 weights in this file are for a network of other"):
        client.run(graph)
