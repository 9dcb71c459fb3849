"""What the VAE learns from: frames of the world, and dead leaves so that it copes with pictures from outside too."""

from __future__ import annotations

import torch
from torch import Tensor

from . import world

LEAVES = 48
WORLD_SHARE = 0.75


def crops(seed: int, count: int, size: int, whole: int) -> Tensor:
    """`count` crops [count, 3, size, size], values 0..1; three quarters of them of the world at `whole` pixels."""
    generator = torch.Generator().manual_seed(seed)
    from_world = round(count * WORLD_SHARE)
    pictures, frames = [], 4
    for index in range(0, from_world, frames):
        clip = world.render(world.scene(_scene_seed(seed, index), style=world.VARIED), frames, whole)
        for frame in clip[: from_world - index]:
            top, left = torch.randint(0, whole - size + 1, (2,), generator=generator).tolist()
            pictures.append(frame[:, top : top + size, left : left + size])
    pictures += [dead_leaves(size, generator) for _ in range(count - from_world)]
    return torch.stack(pictures)


def dead_leaves(size: int, generator: torch.Generator) -> Tensor:
    """Discs of all sizes and colours fallen over each other: edges and areas as in photographs. [3, size, size]

    The model is G. Matheron's; that such pictures have the statistics of natural ones: Lee, Mumford and Huang, 2001.
    """
    x, y, radius = torch.rand(3, LEAVES, 1, 1, generator=generator)
    radius = 0.06 / (0.08 + 0.92 * radius)
    axis = (torch.arange(size) + 0.5) / size
    cover = ((radius - torch.hypot(axis - x, axis.unsqueeze(-1) - y)) * size + 0.5).clamp(0, 1)
    slope = torch.rand(LEAVES, 3, 1, 1, generator=generator) - 0.5
    colours = torch.rand(LEAVES + 1, 3, 1, 1, generator=generator)
    picture = colours[-1].expand(3, size, size)
    for index in range(LEAVES):
        leaf = colours[index] + slope[index] * (axis - 0.5)
        picture = torch.lerp(picture, leaf.expand(3, size, size), cover[index])
    return picture.clamp(0, 1)


def _scene_seed(seed: int, index: int) -> int:
    return seed * 1_000 + index
