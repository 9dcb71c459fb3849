"""Stable Diffusion 1.x's VAE by name, as a ComfyUI builds it, for `clip.py` (see tools/hosting/in_host.py)."""

from __future__ import annotations

import torch
from comfy.ldm.models.autoencoder import AutoencoderKL

LAYERS = {
    "double_z": True,
    "z_channels": 4,
    "resolution": 256,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 128,
    "ch_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_resolutions": [],
    "dropout": 0.0,
}


def main() -> dict[str, list[int]]:
    with torch.device("meta"):
        weights = AutoencoderKL(ddconfig=LAYERS, embed_dim=LAYERS["z_channels"]).state_dict()
    return {name: list(weight.shape) for name, weight in weights.items()}
