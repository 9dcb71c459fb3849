"""Bringing images to the clip's size, and the clip of kept frames the VAE encodes. Values are 0..1 until then."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from .inputs import check_images

RESIZE_MODES = ("crop", "pad", "stretch")
FIT_CLIP = "fit clip to image"
"""The clip takes the picture's shape, instead of the picture the clip's."""
MID_GRAY = 0.5
"""What stands where a frame is to be generated: 0 in the VAE's [-1, 1]."""


def flatten_alpha(images: Tensor, name: str = "images") -> Tensor:
    """``[n, H, W, 1, 3 or 4]`` to RGB; transparency shows mid-gray, the model's "nothing given".

    Raises ValueError for another number of channels.
    """
    channels = images.shape[-1]
    if channels == 1:
        return images.expand(*images.shape[:-1], 3)
    if channels == 4:
        rgb, alpha = images[..., :3], images[..., 3:]
        return rgb * alpha + MID_GRAY * (1 - alpha)
    if channels != 3:
        raise ValueError(f"{name}: images must have 1, 3 or 4 channels, got {channels}: give RGB images")
    return images


def resize(images: Tensor, width: int, height: int, mode: str = "stretch") -> Tensor:
    """``[n, H, W, C]`` to ``[n, height, width, C]``; an equal size is left exact.

    stretch: the reference's plain bilinear interpolation (no antialiasing, aspect ratio not kept); crop: fill the frame
    and cut what stands over, centred; pad: fit inside the frame on black. The latter two are antialiased.
    """
    if mode not in RESIZE_MODES:
        raise ValueError(f"resize_mode: {mode!r} is not one of {', '.join(RESIZE_MODES)}: choose one of them")
    if images.shape[1:3] == (height, width):
        return images
    pixels = images.movedim(-1, 1).float()
    if mode == "stretch":
        out = F.interpolate(pixels, (height, width), mode="bilinear", align_corners=False)
        return out.movedim(1, -1)
    old_height, old_width = pixels.shape[-2:]
    fit = max if mode == "crop" else min
    scale = fit(width / old_width, height / old_height)
    size = (max(1, round(old_height * scale)), max(1, round(old_width * scale)))
    out = F.interpolate(pixels, size, mode="bilinear", align_corners=False, antialias=True)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    if mode == "crop":
        out = out[:, :, -top : -top + height, -left : -left + width]
    else:
        out = F.pad(out, (left, width - size[1] - left, top, height - size[0] - top))
    return out.movedim(1, -1).clamp(0, 1)


def size_like(images: Tensor, width: int, height: int, multiple: int) -> tuple[int, int]:
    """Width and height of a clip in the shape of ``[n, H, W, channels]``, of about ``width*height`` pixels.

    Both are multiples of `multiple`: an image is cropped by less than that.
    """
    scale = math.sqrt(width * height / (images.shape[1] * images.shape[2]))
    sides = (max(multiple, round(side * scale / multiple) * multiple) for side in (images.shape[2], images.shape[1]))
    return tuple(sides)


def size_within(width: int, height: int, pixels: int, multiple: int) -> tuple[int, int]:
    """Width and height in the shape of what is given and of at most about so many pixels, multiples of `multiple`."""
    scale = min(1.0, math.sqrt(pixels / (width * height)))
    return tuple(max(multiple, round(side * scale / multiple) * multiple) for side in (width, height))


def rescale(images: Tensor, width: int, height: int) -> Tensor:
    """``[n, H, W, C]`` to ``[n, height, width, C]``, whole and antialiased: scaled back, everything is where it was."""
    if images.shape[1:3] == (height, width):
        return images
    pixels = images.movedim(-1, 1).float()
    return F.interpolate(pixels, (height, width), mode="bicubic", antialias=True).movedim(1, -1).clamp(0, 1)


def prepare_keyframes(images: Tensor, width: int, height: int, mode: str = "stretch", name: str = "images") -> Tensor:
    """``[n, H, W, C]`` images 0..1 to RGB ``[n, height, width, 3]``. Raises ValueError, see `check_images`."""
    check_images(images, name)
    return resize(flatten_alpha(images, name), width, height, mode)
