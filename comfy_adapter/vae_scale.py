"""Another model's VAE shows in what it makes of mid-gray: frames to generate carry it, and the model knows its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .keyframes import MASK, MASKED_LATENTS
from .progress_text import notice

FARTHEST = 0.5
"""Of the known value's length: half is a choice, not a measurement. Fine-tuned decoders share SD 1.x's encoder."""


def warn_of_other_vae(model: Any, conds: Mapping[str, list[dict[str, Any]]]) -> None:
    """Say so, on the node that samples and in the log, where keyframes were not encoded by the VAE of this model."""
    known = torch.tensor(model.gray_latent)
    for prompt in (prompt for named in conds.values() for prompt in named or ()):
        found = _gray_of(model, prompt)
        if found is None:
            continue
        if float((found - known).norm()) > FARTHEST * float(known.norm()):
            text = (
                f"vae: mid-gray is {_shown(found)} in the keyframes' latents, {_shown(known)} in those this model was "
                "trained on: the VAE seems to be another model's. Take that of Stable Diffusion 1.4 or 1.5, or of the "
                "model's own bundle."
            )
            notice(text)
        return


def _gray_of(model: Any, prompt: Mapping[str, Any]) -> Tensor | None:
    """Scaled latent ``[4]`` of the frames to generate; None for a prompt without any."""
    latents, mask = prompt.get(MASKED_LATENTS), prompt.get(MASK)
    if latents is None:
        return None
    if mask is not None:
        generated = mask.to(latents.device).flatten(1).amin(1) > 0.5
        latents = latents[generated.repeat(len(latents) // len(mask))]
    if not len(latents):
        return None
    # Towards the edges of a frame, which convolutions pad, its values are others.
    height, width = latents.shape[-2:]
    middle = latents[:1, :, height // 2, width // 2, None, None].float()
    return model.latent_format.process_in(middle).flatten().cpu()


def _shown(latent: Tensor) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in latent.tolist()) + ")"
