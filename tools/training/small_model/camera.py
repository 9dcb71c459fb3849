"""How the camera of a clip of the small world moved, measured on its ground: which way, and how far per frame.

Clips are [frames, 3, H, W], values 0..1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .measures import covers

BLUR = 5
"""Pixels over which frames are averaged: their fine noise has no motion."""
SHAPE_WEIGHT = 0.001
"""Of the shape's pixels against the ground's: it decides only where the ground does not, along its stripes."""
ROUNDS = 8
LEAST_PAN = 0.2
"""Way of the ground over the clip, in half frame widths, that counts as a pan (scenes pan 0.75 to 1.05)."""
LEAST_ZOOM = 1.12
"""Ratio of scales at both ends that counts as a zoom (scenes zoom 1.5 to 1.8 times)."""
_MEAN_RADIUS = 0.77
"""Of a pixel, in half frame widths: a zoom moves it by this much of the change of scale."""


@dataclass(frozen=True)
class CameraMotion:
    """`right` and `down`: where the ground goes, in pixels per frame; `zoom`: its growth from frame to frame, 1 is
    none. `name`: of the world's motions (a camera that pans left sees the ground go right), or still."""

    right: float
    down: float
    zoom: float
    name: str


def camera_motion(clip: Tensor, colour: str) -> CameraMotion:
    """The one steady motion that carries the ground of each frame best to that of the next (Lucas and Kanade, 1981).

    colour: the shape's, whose pixels hardly count.
    """
    frames, size = len(clip), clip.shape[-1]
    blurred = F.avg_pool2d(F.pad(clip.clamp(0, 1), [BLUR // 2] * 4, mode="replicate"), BLUR, 1)
    shape = F.max_pool2d(covers(clip, colour).float().unsqueeze(1), 2 * BLUR - 1, 1, BLUR - 1)
    weight = 1 + (SHAPE_WEIGHT - 1) * shape
    axis = (torch.arange(size) + 0.5) * 2 / size - 1
    x, y = axis.view(1, 1, 1, -1), axis.view(1, 1, -1, 1)
    found = torch.zeros(3)  # right and down, in half frame widths per frame, and the logarithm of the zoom
    for _ in range(ROUNDS):
        warped, seen = _carried(blurred[1:], found), _carried(weight[1:], found)
        across, along = _slopes((warped + blurred[:-1]) / 2, size)
        change = torch.stack((across, along, across * x + along * y))
        weights = torch.minimum(seen, weight[:-1]) * _inside(found, clip)
        matrix = torch.einsum("ifchw,jfchw,fchw->ij", change, change, weights.expand_as(warped))
        wanted = torch.einsum("ifchw,fchw,fchw->i", change, blurred[:-1] - warped, weights.expand_as(warped))
        found = found + torch.linalg.solve(matrix + 1e-9 * torch.eye(3), wanted)
    right, down, growth = found.tolist()
    return CameraMotion(right * size / 2, down * size / 2, math.exp(growth), _name(found * (frames - 1)))


def _carried(frames: Tensor, motion: Tensor) -> Tensor:
    """Each frame as it was before this motion; outside of it, its border."""
    return F.grid_sample(frames, _places(motion, frames), padding_mode="border", align_corners=False)


def _inside(motion: Tensor, frames: Tensor) -> Tensor:
    """1 where a pixel of a frame is within the next one, and not at its border, where slopes are not known."""
    size = frames.shape[-1]
    return (_places(motion, frames[:1]).abs().amax(-1) < 1 - BLUR / size).float().unsqueeze(1)


def _places(motion: Tensor, frames: Tensor) -> Tensor:
    right, down, growth = motion.tolist()
    scale = math.exp(growth)
    matrix = torch.tensor([[scale, 0.0, right], [0.0, scale, down]]).expand(len(frames), -1, -1)
    return F.affine_grid(matrix, list(frames.shape), align_corners=False)


def _slopes(frames: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Change per half frame width to the right and down; 0 at the borders."""
    across, along = torch.zeros_like(frames), torch.zeros_like(frames)
    across[..., 1:-1] = (frames[..., 2:] - frames[..., :-2]) * size / 4
    along[..., 1:-1, :] = (frames[..., 2:, :] - frames[..., :-2, :]) * size / 4
    return across, along


def _name(whole: Tensor) -> str:
    right, down, growth = whole.tolist()
    if abs(growth) > math.log(LEAST_ZOOM) and abs(growth) * _MEAN_RADIUS > math.hypot(right, down):
        return "zoom in" if growth > 0 else "zoom out"
    if max(abs(right), abs(down)) < LEAST_PAN:
        return "still"
    if abs(right) > abs(down):
        return "pan left" if right > 0 else "pan right"
    return "pan up" if down > 0 else "pan down"
