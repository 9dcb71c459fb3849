"""Colour and exposure of new frames brought to those of the frames they join, after Reinhard et al., "Color Transfer
between Images", 2001: mean and deviation of each channel of a perceptual colour space (here CIE Lab, by kornia).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .inputs import check_images, check_number

CHUNK = 8
"""Frames converted at a time, so that memory beside the result does not grow with the film."""
STRONGEST = 2.0
"""Contrast is at most doubled or halved: frames of one colour have no deviation to match."""


def match_colours(
    images: Tensor, reference: Tensor, frames: int = 1, before: bool = True, strength: float = 1.0
) -> Tensor:
    """Images ``[n, H, W, 3]``, values 0..1, with the colours of the reference ``[m, H', W', 3]`` where they meet.

    The last `frames` of the reference are held against the first of the images (the reverse where the reference comes
    after them, `before` False); what that gives is done to all images. strength: 0 leaves them, 1 matches. Raises
    ValueError for images that are not RGB or fewer than `frames`.
    """
    check_number(strength, "strength", 0.0, 1.0)
    for name, given in (("images", images), ("reference", reference)):
        check_images(given, name)
        if given.shape[-1] != 3:
            raise ValueError(f"{name}: expected RGB images [n, H, W, 3], got {list(given.shape)}: drop transparency")
        if len(given) < frames:
            raise ValueError(f"{name}: {len(given)} frames, but frames is {frames}: lower it, or give more")
    ours, theirs = (images[:frames], reference[-frames:]) if before else (images[-frames:], reference[:frames])
    match = ColourMatch(ours, theirs.to(images.device))
    result = torch.empty_like(images)
    for start in range(0, len(images), CHUNK):
        chunk = images[start : start + CHUNK]
        result[start : start + CHUNK] = torch.lerp(chunk, match(chunk), strength)
    return result


class ColourMatch:
    """What gives `ours` the colours of `theirs` (both RGB ``[n, H, W, 3]``), to be done to other images."""

    def __init__(self, ours: Tensor, theirs: Tensor) -> None:
        self._mean, deviation = _statistics(ours)
        self._wanted_mean, wanted_deviation = _statistics(theirs)
        self._contrast = (wanted_deviation / deviation.clamp(min=1e-4)).clamp(1 / STRONGEST, STRONGEST)

    def __call__(self, images: Tensor) -> Tensor:
        """RGB images ``[n, H, W, 3]``, on the device that `ours` were on."""
        matched = _colours().lab_to_rgb((_lab(images) - self._mean) * self._contrast + self._wanted_mean, clip=True)
        return matched.movedim(1, -1).to(images)


def _colours() -> Any:
    """kornia's conversions. ComfyUI brings kornia but does without it: only what matches colours may need it."""
    try:
        from kornia import color
    except ImportError as problem:
        raise RuntimeError(
            "images: colours cannot be matched without the Python package kornia, which ComfyUI lists as not "
            "essential: put it into ComfyUI's Python (pip install kornia), or take this node out"
        ) from problem
    return color


def _lab(images: Tensor) -> Tensor:
    return _colours().rgb_to_lab(images.movedim(-1, 1).float())


def _statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel, ``[3, 1, 1]``."""
    pixels = _lab(images).movedim(1, 0).flatten(1)
    return pixels.mean(1).view(3, 1, 1), pixels.std(1, correction=0).view(3, 1, 1)
