"""Hook LoRAs of the host on the text encoder, which scheduled encodes each prompt for each range of the steps."""

import pytest

from tests.graphs import clip, latents, node, sampled

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
