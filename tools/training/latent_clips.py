"""A data set for training: clips that have been encoded once, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


@dataclass
class LatentClips:
    """Encoded clips of one size; see `trainer.Clips`. Latents are scaled, as the UNet sees them, and lie where batches
    are drawn.

    latents [clips, frames, 4, h, w], contexts [clips, tokens, width], gray [variants, 4, h, w], empty_context
    [tokens, width].
    """

    latents: Tensor
    contexts: Tensor
    gray: Tensor
    empty_context: Tensor

    def batch(self, videos: int, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random clips, and of each a random run of `frames` frames: [videos, 4, frames, h, w] and contexts, float32.

        Raises ValueError for more frames than the clips have.
        """
        clips, length = self.latents.shape[:2]
        if frames > length:
            raise ValueError(f"asked for {frames} frames, but the encoded clips have {length}")
        drawing = {"generator": generator, "device": generator.device}
        chosen = torch.randint(clips, (videos,), **drawing)
        starts = torch.randint(length - frames + 1, (videos,), **drawing)
        runs = starts[:, None] + torch.arange(frames, device=generator.device)
        return self.latents[chosen[:, None], runs].transpose(1, 2).float(), self.contexts[chosen].float()

    def to(self, device: torch.device | str) -> LatentClips:
        return LatentClips(**{name: value.to(device) for name, value in vars(self).items()})

    def save(self, file: Path) -> None:
        save_file({name: value.contiguous() for name, value in vars(self).items()}, file)

    @classmethod
    def load(cls, file: Path) -> LatentClips:
        return cls(**load_file(file))
