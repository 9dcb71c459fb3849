"""Decoding a clip a few frames at a time, so that memory beside the finished frames does not grow with its length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from .keyframes import LATENT_SCALE


def decode_frames(vae: Any, samples: Tensor, frames_at_a_time: int, tile_size: int | None = None) -> Tensor:
    """LATENT samples ``[n, 4, h, w]`` to IMAGE ``[n, 8h, 8w, 3]``; `tile_size` in pixels decodes in spatial tiles.

    Raises ValueError for latents of another layout or that are not finite.
    """
    images, done = None, 0
    for decoded in decode_chunks(vae, samples, frames_at_a_time, tile_size):
        if images is None:
            images = decoded.new_empty((samples.shape[0], *decoded.shape[1:]))
        images[done : done + len(decoded)] = decoded
        done += len(decoded)
    return images


def decode_chunks(vae: Any, samples: Tensor, frames_at_a_time: int, tile_size: int | None = None) -> Iterator[Tensor]:
    """The same a few frames at a time, each chunk when it is asked for."""
    if samples.ndim != 4:
        raise ValueError(
            f"samples: expected frames as batch rows [frames, 4, h, w], got {list(samples.shape)}; this latent is of "
            "another kind of video model"
        )
    if not torch.isfinite(samples).all():
        raise ValueError(
            "samples: the latent contains NaN or infinite values, so sampling failed: lower cfg, or load the model "
            "with weight_dtype fp32 or bf16"
        )
    progress = comfy.utils.ProgressBar(samples.shape[0])
    for start in range(0, samples.shape[0], frames_at_a_time):
        comfy.model_management.throw_exception_if_processing_interrupted()
        rows = samples[start : start + frames_at_a_time]
        if tile_size is None:
            yield vae.decode(rows)
        else:
            tile = tile_size // LATENT_SCALE
            yield vae.decode_tiled(rows, tile_x=tile, tile_y=tile, overlap=tile // 4)
        progress.update_absolute(start + len(rows), samples.shape[0])
