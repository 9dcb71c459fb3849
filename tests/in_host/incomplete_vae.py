"""Stable Diffusion 1.x's VAE, whole and with keys missing, through our loader."""

from __future__ import annotations

from typing import Any

import torch
from comfyui_seine.comfy_adapter import loading
from comfyui_seine.seine_model import CheckpointError

_DIFFUSERS = {
    "decoder.up.0.block.": "decoder.up_blocks.3.resnets.",
    "decoder.up.3.block.": "decoder.up_blocks.0.resnets.",
    ".nin_shortcut.": ".conv_shortcut.",
}
"""How some names are in a diffusers folder, the decoder's first and last level among them."""


def main(vae_shapes: dict[str, list[int]], diffusers: bool) -> dict[str, Any]:
    weights = {key: torch.zeros(shape) for key, shape in vae_shapes.items()}
    if diffusers:
        for ours, theirs in _DIFFUSERS.items():
            weights = {key.replace(ours, theirs): value for key, value in weights.items()}
        # Attention is linear layers there.
        attention = [key for key in weights if ".attn_1." in key and weights[key].ndim == 4]
        weights |= {key: weights[key][:, :, 0, 0] for key in attention}
    level = "decoder.up_blocks.3.resnets." if diffusers else "decoder.up.0.block."
    gone = [key for key in sorted(weights) if key.startswith(level)][:10]
    return {
        "whole": "a VAE" if loading._vae(weights, "base") else "",
        "incomplete": message({key: value for key, value in weights.items() if key not in gone}),
    }


def message(weights: dict[str, torch.Tensor]) -> str:
    try:
        loading._vae(weights, "base")
    except CheckpointError as error:
        return str(error)
    return "no error"
