"""A film from its script: shots that begin with pictures, and transitions from one shot to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...seine_model.inputs import check_images
from ...seine_model.preprocessing import prepare_keyframes
from ...seine_model.story import SHOT, TRANSITION, gap_of, parse_story
from ...seine_model.windows import plan
from ..encoding import encode_images
from ..keyframes import clip_size, encode_gray
from .film import SEEDS, FilmMaker, Gap, Settings

SEEDS_PER_SEGMENT = 1 << 20
"""Apart enough that a segment's windows use no other segment's noise, however long it becomes."""


def sample_story(
    model: Any,
    clip: Any,
    vae: Any,
    pictures: Mapping[str, Tensor],
    script: str,
    negative_prompt: str,
    fps: float,
    size: tuple[int, int],
    resize_mode: str,
    seed: int,
    settings: Settings,
) -> tuple[Tensor, str]:
    """The film's latents ``[frames, 4, h, w]`` and its timeline, a line for each segment.

    pictures ``[n, H, W, channels]`` each, of any size, by the input they come from, in the order of the shots.
    A shot depends on its own picture and prompt alone, a transition on its prompt and the shots beside it. Raises
    ValueError for a script that cannot be told, see `parse_story` and `plan`.
    """
    for name, images in pictures.items():
        check_images(images, name)
    segments = parse_story(script, fps, sum(map(len, pictures.values())))
    gaps = [gap_of(segments, index) for index in range(len(segments))]
    windows = sum(len(plan(*gap, settings.window, settings.overlap)) for gap in gaps if gap[1])
    width, height, resize_mode = clip_size(pictures, *size, resize_mode)
    # One by one: a batch of another size would give other last digits, and with them other windows.
    latents = [
        encode_images(vae, picture, name)
        for name, images in pictures.items()
        for picture in prepare_keyframes(images, width, height, resize_mode, name).split(1)
    ]
    starts = torch.cat(latents).cpu().float()
    gray = encode_gray(vae, width, height).cpu().float()
    nothing = starts[:0]
    texts = {negative_prompt, *(segment.prompt for segment in segments)}
    prompts = {text: clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in texts}

    def gap_at(index: int, before: Tensor, after: Tensor) -> Gap:
        segment = segments[index]
        return Gap(
            f"segment {index + 1} of {len(segments)}, {segment.kind}",
            before,
            gaps[index][1],
            after,
            prompts[segment.prompt],
            prompts[negative_prompt],
            (seed + index * SEEDS_PER_SEGMENT if segment.seed is None else segment.seed) % SEEDS,
        )

    maker = FilmMaker(model, gray, settings, windows)
    sampled: list[Tensor] = [nothing] * len(segments)
    shots = [index for index, segment in enumerate(segments) if segment.kind == SHOT]
    for index, picture in zip(shots, starts.split(1), strict=True):
        shot = gap_at(index, picture, nothing)
        sampled[index] = torch.cat((picture, maker.fill(shot))) if shot.frames else picture
        if index and segments[index - 1].kind == TRANSITION:
            sampled[index - 1] = maker.fill(gap_at(index - 1, sampled[index - 2], sampled[index]))
    if segments[-1].kind == TRANSITION:  # back to the first shot
        sampled[-1] = maker.fill(gap_at(len(segments) - 1, sampled[-2], sampled[0]))
    return torch.cat(sampled), "\n".join(segment.describe() for segment in segments)
