"""Writes a small RIFE-shaped file with made-up weights that this host's Load Frame Interpolation Model reads."""

from __future__ import annotations

from typing import Any

import torch
from comfy_extras.frame_interpolation_models.ifnet import IFNet
from safetensors.torch import save_file


def main(file: str) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    shapes = {name: value.shape for name, value in IFNet(head_ch=4, channels=(16, 16, 16, 16, 16)).state_dict().items()}
    save_file({name: torch.randn(shape, generator=generator) * 0.02 for name, shape in shapes.items()}, file)
    return {"tensors": len(shapes)}
