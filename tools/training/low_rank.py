"""Low-rank layers (LoRA, Hu et al., arXiv 2106.09685) in a network, and the file that ComfyUI's LoRA loaders read.

Every linear and convolution layer, those of the attention over frames too, computes with W + B A. The network's own
weights stay as they are, so that it is the network before training again wherever the layers are switched off.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from seine_model.config import SeineConfig
from seine_model.unet import SeineUNet3D


class LowRank(nn.Module):
    """What is added to a layer's weight: `up` [rows, rank] times `down` [rank, columns], float32; nothing at first."""

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        rows, columns = len(weight), weight[0].numel()
        rank = min(rank, rows, columns)
        start = (torch.rand(rank, columns, generator=generator) * 2 - 1) / math.sqrt(columns)
        self.up = nn.Parameter(torch.zeros(rows, rank, device=weight.device))
        self.down = nn.Parameter(start.to(weight.device))
        self.on = True

    def forward(self, weight: Tensor) -> Tensor:
        if not self.on:
            return weight
        return (weight + (self.up @ self.down).view(weight.shape)).to(weight.dtype)


def add_low_rank(unet: SeineUNet3D, rank: int, seed: int) -> dict[str, nn.Parameter]:
    """Give the layers of `unet` such weights, and train these alone: by name, `conv_in.up`, `conv_in.down` ….

    A layer with fewer rows or columns than `rank` gets as many as it has.
    """
    generator = torch.Generator().manual_seed(seed)
    unet.requires_grad_(False)
    trained = {}
    for name, layer in list(unet.named_modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            added = LowRank(layer.weight, rank, generator)
            parametrize.register_parametrization(layer, "weight", added, unsafe=True)
            trained |= {f"{name}.{part}": value for part, value in added.named_parameters()}
    return trained


@contextmanager
def switched_off(unet: nn.Module) -> Iterator[None]:
    """The network as it was before `add_low_rank`; of one without such layers, as it is."""
    layers = [module for module in unet.modules() if isinstance(module, LowRank)]
    for layer in layers:
        layer.on = False
    try:
        yield
    finally:
        for layer in layers:
            layer.on = True


def lora_file(values: Mapping[str, Tensor], unet: SeineUNet3D, dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    """What `add_low_rank` named, under the names that ComfyUI knows the layers by, `….lora_up.weight` and
    `….lora_down.weight`; convolutions have their kernel in the latter."""
    layers = dict(unet.named_modules())
    stored = {}
    for name, value in values.items():
        layer, part = name.rsplit(".", 1)
        kernel = layers[layer].weight.shape[2:]
        value = value.detach().to("cpu", dtype)
        if kernel:
            value = value[:, :, None, None] if part == "up" else value.unflatten(1, (-1, *kernel))
        stored[f"diffusion_model.{host_name(layer, unet.config)}.lora_{part}.weight"] = value.contiguous().clone()
    return stored


_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def host_name(layer: str, config: SeineConfig) -> str:
    """A layer's name in Stable Diffusion 1.x's own network, by which ComfyUI calls it, from the reference's."""
    if layer in _OUTSIDE:
        return _OUTSIDE[layer]
    place, kind, index, rest = re.fullmatch(
        r"(down_blocks\.\d+|mid_block|up_blocks\.\d+)\.(\w+)\.(\d+)\.(.+)", layer
    ).groups()
    side, _, level = place.partition(".")
    rest = _RESNET.get(rest, rest) if kind == "resnets" else rest
    if side == "mid_block":
        return f"middle_block.{1 if kind == 'attentions' else 2 * int(index)}.{rest}"
    level, layers = int(level), config.layers_per_block
    if side == "down_blocks":
        block = 1 + level * (layers + 1) + (layers if kind == "downsamplers" else int(index))
        rest = rest.replace("conv", "op") if kind == "downsamplers" else rest
        return f"input_blocks.{block}.{1 if kind == 'attentions' else 0}.{rest}"
    block = level * (layers + 1) + (layers if kind == "upsamplers" else int(index))
    # The first level up has no attention between its resnet and what doubles the size.
    place_in_block = {"resnets": 0, "attentions": 1, "upsamplers": 1 if level == 0 else 2}[kind]
    return f"output_blocks.{block}.{place_in_block}.{rest}"
