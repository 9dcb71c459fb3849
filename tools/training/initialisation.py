"""Start values for training SEINE's UNet from nothing."""

from __future__ import annotations

import math

import torch
from torch import nn

from seine_model.temporal import RotaryEmbedding, rotary_frequencies
from seine_model.unet import SeineUNet3D

REFERENCE = 6.0
"""Size of the constants that the starting network is normalised by, beside noise of size 1."""


def initialise(unet: SeineUNet3D, seed: int) -> None:
    """Start values for training from scratch: torch's own for each layer, zero for what each residual adds at first.

    The network begins by taking its noisy input for the noise, which at high noise is nearly right and hard to learn:
    it would have to carry its input through all layers with an error far below what is left of the picture in it.
    """
    torch.manual_seed(seed)
    for module in unet.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
        elif isinstance(module, RotaryEmbedding):
            module.freqs.data = rotary_frequencies()
    for name, value in unet.named_parameters():
        if name.rpartition(".")[0].endswith(("conv2", "proj_out", "conv_out", "relative_attention_bias")):
            nn.init.zeros_(value)

    _pass_noise_through(unet)


@torch.no_grad()
def _pass_noise_through(unet: SeineUNet3D) -> None:
    """Latents and their negatives go from conv_in over the outermost skip connection to conv_out, where
    silu(x) - silu(-x) = x.

    On their way they are normalised. What is left of the picture at high noise is far less than the noise's own scale
    varies by chance, so constants in the same groups hold the scale, and by their signs the mean.
    """
    shortcut, norm = unet.up_blocks[-1].resnets[-1].conv_shortcut, unet.conv_norm_out
    latents, width = unet.config.out_channels, unet.config.block_out_channels[0]
    group = width // norm.num_groups
    pairs = max(1, group // 4)
    for start in range(0, math.ceil(latents / pairs) * group, group):
        end = start + group
        shortcut.weight[start:end] = 0
        shortcut.bias[start:end] = 0
        shortcut.bias[start + 2 * pairs : end : 2] = REFERENCE
        shortcut.bias[start + 2 * pairs + 1 : end : 2] = -REFERENCE
        norm.weight[start:end] = math.sqrt((2 * pairs + (group - 2 * pairs) * REFERENCE**2) / group)
    for latent in range(latents):
        first = latent // pairs * group + latent % pairs * 2
        for feature, sign in ((first, 1), (first + 1, -1)):
            unet.conv_in.weight[feature] = 0
            unet.conv_in.bias[feature] = 0
            unet.conv_in.weight[feature, latent, 1, 1] = sign
            shortcut.weight[feature, shortcut.in_channels - width + feature] = 1
            unet.conv_out.weight[latent, feature, 1, 1] = sign
