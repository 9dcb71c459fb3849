"""The small model's VAE: TAESD's network (github.com/madebyollin/taesd) under the names the host loads, trained here.

All its layers are 64 channels wide. Where pictures are large we train fewer of them, to save time, and the file holds
zeros for the others, which pass through the network unseen.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LATENT_CHANNELS = 4
LATENT_SCALE = 0.18215
"""SD 1.x's factor between the VAE's latents and those the UNet sees."""
WIDTH = 64
STAGES = (64, 48, 32, 16)
"""Channels we train at 1/8, 1/4, 1/2 and full resolution."""
LATENT_NOISE = 0.08
"""Added to the latents while training: the decoder then forgives what a sampler leaves."""


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        convolutions = (_conv(width, width) for _ in range(3))
        first, second, third = convolutions
        self.conv = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x) + x)


class Clamp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


class Encoder(nn.Sequential):
    def __init__(self, stages: tuple[int, ...]) -> None:
        layers: list[nn.Module] = [_conv(3, stages[3]), Block(stages[3])]
        for width, narrower in ((stages[2], stages[3]), (stages[1], stages[2]), (stages[0], stages[1])):
            layers += [_conv(narrower, width, stride=2, bias=False), *(Block(width) for _ in range(3))]
        super().__init__(*layers, _conv(stages[0], LATENT_CHANNELS))


class Decoder(nn.Sequential):
    def __init__(self, stages: tuple[int, ...]) -> None:
        layers: list[nn.Module] = [Clamp(), _conv(LATENT_CHANNELS, stages[0]), nn.ReLU()]
        for width, narrower in zip(stages, stages[1:], strict=False):
            layers += [*(Block(width) for _ in range(3)), nn.Upsample(scale_factor=2)]
            layers += [_conv(width, narrower, bias=False)]
        super().__init__(*layers, Block(stages[3]), _conv(stages[3], 3))


class Autoencoder(nn.Module):
    """Encoder and decoder. `unit` is what counts as 1 in the latents the UNet sees; it is set after training."""

    def __init__(self, stages: tuple[int, ...] = STAGES) -> None:
        super().__init__()
        self.taesd_encoder, self.taesd_decoder = Encoder(stages), Decoder(stages)
        self.register_buffer("unit", torch.ones(()), persistent=False)

    def encode(self, pictures: Tensor) -> Tensor:
        """Pictures [N, 3, H, W], values 0..1, to latents [N, 4, H/8, W/8] as the UNet sees them."""
        return self.taesd_encoder(pictures) / self.unit

    def decode(self, latents: Tensor) -> Tensor:
        """The reverse; values may lie a little outside 0..1."""
        return self.taesd_decoder(latents * self.unit)


def autoencoder_loss(autoencoder: Autoencoder, pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Error of the pictures [N, 3, H, W], plus how far the latents are from an uncorrelated unit Gaussian."""
    latents = autoencoder.encode(pictures).float()
    noise = torch.randn(latents.shape, generator=generator)
    error = autoencoder.decode(latents + LATENT_NOISE * noise).float() - pictures
    flat = latents.transpose(0, 1).flatten(1)
    mean = flat.mean(1)
    centred = flat - mean.unsqueeze(1)
    covariance = centred @ centred.T / flat.shape[1]
    spread = mean.square().sum() + (covariance - torch.eye(len(mean))).square().sum()
    return error.square().mean() + 0.05 * error.abs().mean() + 1e-3 * spread


def stored_weights(autoencoder: Autoencoder) -> dict[str, Tensor]:
    """The weights at TAESD's full width, float32."""
    full = Autoencoder((WIDTH,) * len(STAGES)).state_dict()
    weights = {"vae_scale": LATENT_SCALE * autoencoder.unit}
    for key, value in autoencoder.state_dict().items():
        weights[key] = torch.zeros_like(full[key])
        weights[key][tuple(slice(size) for size in value.shape)] = value
    return weights


def _conv(inputs: int, outputs: int, **options: object) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)
