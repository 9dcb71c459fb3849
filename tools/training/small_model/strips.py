"""Pictures of how the training goes: strips of clips the network makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from seine_model import SeineUNet3D
from seine_model.diffusion import ddim_sample, respaced_timesteps
from seine_model.masks import frame_mask
from tools.training.batches import masked_latents
from tools.training.latent_clips import LatentClips

from .autoencoder import Autoencoder

STEPS, CFG = 20, 2.0
MASKS = ("first1", "onelast1", "all")
SHOWN = (0, 2, 4, 6, 9, 11, 13, 15)


def sample_strip(unet: SeineUNet3D, autoencoder: Autoencoder, clips: LatentClips, file: Path) -> None:
    """For each kind of mask two rows of frames: a clip of the data set, and what the network makes of its kept ones."""
    rows = []
    for index, spec in enumerate(MASKS):
        latents = clips.latents[index].float()
        mask = frame_mask(spec, len(latents))
        made = generate(unet, latents, mask, clips, clips.contexts[index].float(), seed=index)
        rows += [autoencoder.decode(video)[list(SHOWN)] for video in (latents, made)]
    save_rows(rows, file)


@torch.inference_mode()
def generate(
    unet: SeineUNet3D, latents: Tensor, mask: Tensor, clips: LatentClips, context: Tensor, seed: int
) -> Tensor:
    """Frames [frames, 4, h, w] from those that the mask [frames] keeps of `latents`, with guidance, by DDIM."""
    masked = masked_latents(latents.transpose(0, 1)[None], mask[None], clips.gray[:1])
    given = torch.cat((mask[None, None, :, None, None].expand_as(masked[:, :1]), masked), 1).expand(2, -1, -1, -1, -1)
    contexts = torch.stack((context, clips.empty_context.float()))

    def eps(x: Tensor, t: Tensor) -> Tensor:
        asked, unasked = unet(torch.cat((x.expand_as(given[:, 1:]), given), 1), t.expand(2), contexts).chunk(2)
        return unasked + CFG * (asked - unasked)

    noise = torch.randn(masked.shape, generator=torch.Generator().manual_seed(seed))
    return ddim_sample(eps, noise, respaced_timesteps(STEPS))[0].transpose(0, 1)


def save_rows(rows: Sequence[Tensor], file: Path) -> None:
    """Rows of pictures [N, 3, H, W], values 0..1, below each other."""
    picture = torch.cat([torch.cat(list(row), dim=-1) for row in rows], dim=-2)
    pixels = picture.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)
    Image.fromarray(pixels.numpy()).save(file)
