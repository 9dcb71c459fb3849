"""LoRA files through the stock loader: they act, or the loader says why not."""

import pytest
import torch

from tests.graphs import clip, latents, node, sampled
from tools.hosting.client import ExecutionFailed

ACTING = (
    "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_{}.weight",
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q.lora_linear_layer.{}.weight",
    "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn_temp.to_v.lora_{}.weight",
)
MOTION = "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.processor."


def with_lora(name: str, loader: str = "LoraLoaderModelOnly") -> dict:
    graph = sampled(clip(), model=["lora", 0])
    graph["lora"] = node(loader, model=["model", 0], lora_name=name, strength_model=1.0)
    return graph


@pytest.mark.parametrize("number", range(len(ACTING)))
def test_it_acts(client, write_lora, number):
    name = write_lora(f"acting-{number}", ACTING[number], 32)
    assert not torch.equal(latents(client, with_lora(name))["latent"], latents(client, sampled(clip()))["latent"])


def test_it_acts_as_much_beside_the_layers_as_in_their_weights(client, write_lora):
    """Load LoRA (Bypass), which finds the layers by their names in the model."""
    name = write_lora("bypassed", ACTING[0], 32)
    found, wanted = (
        latents(client, with_lora(name, loader))["latent"]
        for loader in ("LoraLoaderBypassModelOnly", "LoraLoaderModelOnly")
    )
    assert not torch.equal(found, latents(client, sampled(clip()))["latent"])
    assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()


@pytest.mark.parametrize(
    ("name", "key", "width", "words"),
    [
        ("motion", MOTION + "to_q_lora.{}.weight", 64, "nothing in this file is for SEINE's network"),
        ("other-widths", ACTING[0], 128, "1 of 1 weights in this file are for a network of other widths"),
    ],
)
def test_the_loader_says_why_not(client, write_lora, name, key, width, words):
    with pytest.raises(ExecutionFailed) as caught:
        latents(client, with_lora(write_lora(name, key, width)))
    assert caught.value.node_type == "LoraLoaderModelOnly"
    assert caught.value.exception_message.startswith("lora_name: ")
    assert words in caught.value.exception_message
