"""Decoding a clip a few frames at a time, so that memory beside the finished frames does not grow with its length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from ..seine_model.device_choices import convolves_channels_last
from ..seine_model.inputs import check_finite, check_latents, check_number
from .keyframes import LATENT_SCALE
from .memory import OutOfMemory, attempt, make_room, without_tiles

LARGEST_TILE, SMALLEST_TILE = 512, 128
"""Sides in pixels of the tiles that are tried where one whole frame is too much."""


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
    """The same a few frames at a time, each chunk when it is asked for.

    Where memory runs out it goes on with fewer frames, then with smaller tiles; raises OutOfMemory where that is not
    enough.
    """
    check_latents(samples, "samples", "This latent is of another kind of video model: use the one of a SEINE sampler.")
    failed = ", so sampling failed: lower cfg, or load the model with weight_dtype fp32 or bf16"
    check_finite(samples, "samples: the latent", failed)
    check_number(frames_at_a_time, "frames_at_a_time", 1)
    progress = comfy.utils.ProgressBar(samples.shape[0])
    done = 0
    while done < len(samples):
        comfy.model_management.throw_exception_if_processing_interrupted()
        rows = samples[done : done + frames_at_a_time]
        decoded = _decode(vae, rows, tile_size)
        if decoded is None:
            frames_at_a_time, tile_size = _smaller(len(rows), tile_size)
            continue
        check_finite(decoded, "vae: what it decodes", ": choose another one, or start ComfyUI with --fp32-vae")
        yield decoded
        done += len(rows)
        progress.update_absolute(done, len(samples))


def _decode(vae: Any, rows: Tensor, tile_size: int | None) -> Tensor | None:
    """Frames of the rows; None where memory ran out."""
    if convolves_channels_last(torch.device(getattr(vae, "device", "cpu"))):
        rows = rows.contiguous(memory_format=torch.channels_last)
    if tile_size is None:
        return attempt(without_tiles(vae).decode, rows)
    tile = tile_size // LATENT_SCALE
    last = len(rows) == 1 and tile_size // 2 < SMALLEST_TILE
    return attempt(vae.decode_tiled, rows, last=last, tile_x=tile, tile_y=tile, overlap=tile // 4)


def _smaller(frames: int, tile_size: int | None) -> tuple[int, int | None]:
    """What to try after so many frames were too much."""
    if frames > 1:
        make_room(f"decoding {frames // 2} frames at a time")
        return frames // 2, tile_size
    tile_size = LARGEST_TILE if tile_size is None else tile_size // 2
    if tile_size < SMALLEST_TILE:
        raise OutOfMemory(
            f"samples: not even tiles of {SMALLEST_TILE} pixels of one frame could be decoded: free memory by closing "
            "other programs, or start ComfyUI with --cpu-vae"
        )
    make_room(f"decoding one frame at a time in tiles of {tile_size} pixels")
    return 1, tile_size
