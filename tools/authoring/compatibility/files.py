"""Files for the server that tries the nodes: two small bundles, and one for every loader of core that takes SEINE's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy
import torch
from PIL import Image
from safetensors.torch import save_file

from tools.authoring.compatibility.clip import FRAMES, MODEL_FILE, OTHER_FILE, PICTURE, SIZE
from tools.hosting.sample_bundle import SMALL, sample_bundle, sample_text_encoder, sample_vae
from tools.hosting.server import place_file, prepare_base

CONFIG = replace(SMALL, block_out_channels=(32, 64, 128, 128), layers_per_block=2, cross_attention_dim=768)
"""Narrow, and in everything else as SEINE is: depths and widths in the same proportion, prompts of its text encoder."""
LORA_KEY = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_{}.weight"
CONFIG_FILE = "made-up.yaml"
CLIP_LAYERS = 12
"""Of the text encoder that core's loader knows."""
MADE_UP = Path(__file__).resolve().parents[2] / "hosting" / "made_up"


def prepare(base: Path, with_text_encoder: bool = True) -> dict[str, list[Path]]:
    """Fill the folder of a server to be; return its models by folder, as ComfyServer takes them.

    `with_text_encoder`: the file of 250 MB that CLIPLoader is tried with, too.
    """
    prepare_base(base)
    made = base / "made"
    made.mkdir(exist_ok=True)
    bundle = sample_bundle(made / MODEL_FILE, CONFIG)
    other = sample_bundle(made / OTHER_FILE, CONFIG, seed=1)
    generator = torch.Generator().manual_seed(5)
    width = CONFIG.block_out_channels[0]

    lora = {"up": torch.randn(width, 2, generator=generator), "down": torch.randn(2, width, generator=generator)}
    save_file({LORA_KEY.format(part): value for part, value in lora.items()}, made / "acting.safetensors")
    layer = {"linear.weight": torch.randn(width, width, generator=generator), "linear.bias": torch.zeros(width)}
    torch.save({width: [layer, layer]}, made / "acting.pt")
    vae = sample_vae()
    vae["taesd_encoder.14.weight"] *= 1.5
    save_file(vae, made / "vae.safetensors")
    if with_text_encoder:
        encoder = sample_text_encoder(CONFIG.cross_attention_dim, generator, CLIP_LAYERS)
        save_file({key: value.half() for key, value in encoder.items()}, made / "text.safetensors")
    save_file(adapter(generator), made / "adapter.safetensors")
    hint = {"lora_controlnet": torch.empty(0), "input_hint_block.0.weight": torch.zeros(16, 3, 3, 3)}
    save_file(hint, made / "control-lora.safetensors")
    (made / CONFIG_FILE).write_text("model: {}", encoding="utf-8")
    folder = made / "diffusers" / "folder"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text("{}", encoding="utf-8")
    latent = torch.randn(FRAMES, 4, SIZE // 8, SIZE // 8, generator=generator)
    save_file({"latent_tensor": latent, "latent_format_version_0": torch.empty(0)}, base / "input" / "other.latent")

    place_file(MADE_UP, base / "custom_nodes" / MADE_UP.name)
    pixels = numpy.random.default_rng(5).integers(0, 256, (SIZE // 8, SIZE // 8, 3), dtype=numpy.uint8)
    Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.BILINEAR).save(base / "input" / PICTURE)
    return {
        "seine": [bundle, other],
        "checkpoints": [bundle],
        "diffusion_models": [bundle],
        "configs": [made / CONFIG_FILE],
        "diffusers": [folder],
        "loras": [made / "acting.safetensors"],
        "hypernetworks": [made / "acting.pt"],
        "vae": [made / "vae.safetensors"],
        "text_encoders": [made / "text.safetensors"] if with_text_encoder else [],
        "controlnet": [made / "adapter.safetensors", made / "control-lora.safetensors"],
    }


def adapter(generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Made-up weights of a T2I-Adapter for Stable Diffusion 1.x, which core's ControlNet loader reads at any width.

    The ControlNets that it reads besides are of Stable Diffusion's own widths.
    """
    widths = CONFIG.block_out_channels
    shapes = {"conv_in": (widths[0], 3 * 64, 3, 3)}
    for level, width in enumerate(widths):
        for number in range(2):
            before = widths[max(0, level - 1)] if number == 0 else width
            block = f"body.{2 * level + number}"
            if before != width:
                shapes[f"{block}.in_conv"] = (width, before, 1, 1)
            shapes |= {f"{block}.block1": (width, width, 3, 3), f"{block}.block2": (width, width, 1, 1)}
    weights = {f"{name}.weight": 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return weights | {f"{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}
