"""Stable Diffusion 1.x's text encoder and VAE, full size with made-up weights, through our loader and the host's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import comfy.sd
import comfy.sd1_clip
import torch
from comfyui_seine.comfy_adapter import files, loading
from comfyui_seine.seine_model import SeineConfig, SeineUNet3D
from safetensors.torch import save_file

PROMPT = "a (red:1.3) ball moves left over a green field"


def main(folder: str, vae_shapes: dict[str, list[int]]) -> dict[str, Any]:
    files.register_folder()
    generator = torch.Generator().manual_seed(0)

    def made_up(shapes: dict[str, Sequence[int]]) -> dict[str, torch.Tensor]:
        return {
            key: torch.randn(shape, generator=generator).mul_(0.02).add_(float("norm" in key and "weight" in key))
            for key, shape in shapes.items()
            if key != "logit_scale"
        }

    def shapes_of(module: torch.nn.Module) -> dict[str, Sequence[int]]:
        return {key: value.shape for key, value in module.state_dict().items()}

    encoder = made_up(shapes_of(comfy.sd1_clip.SDClipModel()))
    text = {k.removeprefix("transformer."): v for k, v in encoder.items() if "text_model." in k and "_ids" not in k}
    vae = made_up(vae_shapes)
    alone = Path(folder) / "text_encoder.safetensors"
    base = Path(folder) / "sd.safetensors"
    save_file(text, alone)
    prefixed = {f"cond_stage_model.transformer.{key}": value for key, value in text.items()}
    save_file(prefixed | {f"first_stage_model.{key}": value for key, value in vae.items()}, base)

    small = SeineConfig(block_out_channels=(32, 32, 32, 32), layers_per_block=1, attention_head_dim=1)
    unet = {key: value.clone() for key, value in made_up(shapes_of(SeineUNet3D(small))).items()}
    torch.save({"ema": unet}, Path(folder) / "seine.pt")
    _model, clip, loaded_vae = loading.load_bundle(Path(folder) / "seine.pt", base)
    theirs = comfy.sd.load_clip([str(alone)], embedding_directory=None)
    their_vae = comfy.sd.VAE(sd=dict(vae))

    def encode(encoder: Any) -> torch.Tensor:
        return encoder.encode_from_tokens(encoder.tokenize(PROMPT))

    latents = torch.randn(1, 4, 4, 6, generator=generator)
    text, pixels = encode(clip), loaded_vae.decode(latents)
    return {
        "text": list(text.shape),
        "text difference": float((text - encode(theirs)).abs().max()),
        "text spread": float(text.std()),
        "pixels": list(pixels.shape),
        "pixel difference": float((pixels - their_vae.decode(latents)).abs().max()),
    }
