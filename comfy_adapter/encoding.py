"""Encoding images a few at a time, so that a long clip can be cancelled and its device need not hold all of it."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from ..seine_model.inputs import check_finite
from .memory import OutOfMemory, attempt, make_room, without_tiles

IMAGES_AT_A_TIME = 8


def encode_images(vae: Any, images: Tensor, name: str) -> Tensor:
    """IMAGE ``[n, H, W, 3]`` to latents ``[n, 4, H/8, W/8]``; `name` is the input that they come from.

    Where memory runs out it goes on with fewer images, then in tiles; raises OutOfMemory where that is not enough.
    """
    at_a_time, done, encoded = IMAGES_AT_A_TIME, 0, []
    progress = comfy.utils.ProgressBar(len(images)) if len(images) > at_a_time else None
    while done < len(images):
        comfy.model_management.throw_exception_if_processing_interrupted()
        rows = images[done : done + at_a_time]
        latents = attempt(without_tiles(vae).encode, rows)
        if latents is None and len(rows) > 1:
            at_a_time = len(rows) // 2
            make_room(f"encoding {at_a_time} images at a time")
            continue
        encoded.append(_in_tiles(vae, rows, name) if latents is None else latents)
        check_finite(encoded[-1], "vae: what it encodes", ": choose another one, or start ComfyUI with --fp32-vae")
        done += len(rows)
        if progress is not None:
            progress.update_absolute(done)
    return torch.cat(encoded)


def _in_tiles(vae: Any, rows: Tensor, name: str) -> Tensor:
    make_room("encoding in tiles")
    latents = attempt(vae.encode_tiled, rows, last=True)
    if latents is None:
        raise OutOfMemory(
            f"{name}: not even tiles of one image could be encoded: lower width and height, free memory by closing "
            "other programs, or start ComfyUI with --cpu-vae"
        )
    return latents
