"""Video files continued: what is needed of them becomes latents, what is made goes beside them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...seine_model.preprocessing import rescale, size_within
from ..encoding import encode_images
from ..keyframes import LATENT_SCALE
from ..video_files.extended import ExtendedVideo, file_of
from ..video_files.new_frames import NewFrames
from ..video_files.reading import Look, first_frames, last_frames
from .extending import extend
from .film import Settings

FILE_DIRECTIONS = ("after", "before", "loop")


def extend_file(
    model: Any,
    vae: Any,
    positive: list,
    negative: list,
    video: Any,
    direction: str,
    frames: int,
    size: tuple[int, int],
    seed: int,
    settings: Settings,
) -> ExtendedVideo:
    """The VIDEO with new frames, made at about the pixels of `size` (width, height) and shown at the video's own.

    Raises ValueError for what cannot be read, has sides that a video file cannot have, or is shorter than the overlap.
    """
    file = file_of(video)
    file.rate()  # asked for before anything is made
    ends = []
    if direction != "after":
        ends.append(first_frames(file.source, settings.overlap))
    if direction != "before":
        ends.append(last_frames(file.source, settings.overlap))
    _check(ends, settings.overlap)
    shown = ends[0][1].upright_size()
    made = size_within(*shown, size[0] * size[1], LATENT_SCALE)
    known = torch.cat([rescale(pictures, *made) for pictures, _ in ends])
    clip = encode_images(vae, known, "video").cpu().float()
    new = extend(model, vae, positive, negative, direction, clip, None, frames, seed, settings)
    return ExtendedVideo(file, NewFrames(vae, new, known, clip, *shown), direction == "before")


def _check(ends: list[tuple[Tensor, Look]], overlap: int) -> None:
    for pictures, look in ends:
        if len(pictures) < overlap:
            raise ValueError(
                f"overlap is {overlap}, but the video has {len(pictures)} frame{'s' * (len(pictures) != 1)}: lower "
                "overlap, or give a longer video"
            )
        # Colours are stored for two pixels at a time, and encoders take no other sides.
        if look.width % 2 or look.height % 2:
            raise ValueError(
                f"video: it is {look.width}x{look.height}, and a video file with an odd side cannot be written: scale "
                "it to even sides first"
            )
