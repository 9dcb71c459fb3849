"""Pictures as a moving camera sees a still one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

FARTHEST_ZOOM = 2.0
"""Ratio of scales at both ends of a zoom of 1."""


def moved_stills(picture: Tensor, times: Sequence[float], pan: float, tilt: float, zoom: float) -> Tensor:
    """The picture ``[H, W, channels]`` as it is seen at these times, ``[times, H, W, channels]``; as it is at 0.

    In a unit of time the camera goes `pan` half pictures to the right and `tilt` up, and zooms in by FARTHEST_ZOOM to
    the power of `zoom`. Outside, the picture is mirrored.
    """
    source = picture.movedim(-1, 0).unsqueeze(0).float()
    matrices = torch.tensor(
        [
            [[FARTHEST_ZOOM ** (-zoom * time), 0.0, pan * time], [0.0, FARTHEST_ZOOM ** (-zoom * time), -tilt * time]]
            for time in times
        ],
        device=picture.device,
    )
    size = [len(matrices), *source.shape[1:]]
    places = F.affine_grid(matrices, size, align_corners=False)
    seen = F.grid_sample(source.expand(size), places, padding_mode="reflection", align_corners=False)
    return seen.movedim(1, -1).to(picture)
