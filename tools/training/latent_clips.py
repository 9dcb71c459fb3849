"""A data set for training: clips that have been encoded once, in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

PIXELS = 8
"""Of a picture, to each side of one of a latent."""
_RECORD = "made_from"


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
    made_from: Mapping[str, Any] = field(default_factory=dict)
    """See `made_from`; of a file of an earlier version only what the latents' size tells."""

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
        return replace(self, **{name: value.to(device) for name, value in self._tensors().items()})

    def save(self, file: Path) -> None:
        tensors = {name: value.contiguous() for name, value in self._tensors().items()}
        save_file(tensors, file, {_RECORD: json.dumps(self.made_from)} if self.made_from else None)

    @classmethod
    def load(cls, file: Path) -> LatentClips:
        with safe_open(file, "pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
            record = json.loads((stored.metadata() or {}).get(_RECORD, "{}"))
        _, frames, _, height, width = tensors["latents"].shape
        told = {"frames": frames, "width": PIXELS * width, "height": PIXELS * height}
        return cls(**tensors, made_from=record or told)

    def _tensors(self) -> dict[str, Tensor]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
