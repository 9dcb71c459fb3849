"""What a clip of the small world shows, measured with plain image processing: which colour, which shape, which motion.

Pictures are [3, H, W] and clips [frames, 3, H, W], values 0..1; lengths are in half frame widths, as in `world`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from . import world

SHADES = 0.75, 1.25
"""How far light and texture darken and brighten a colour."""
LEAST_AREA = 0.01
"""Share of the frame below which there is no shape."""
LEAST_WAY = 0.25
"""Way of the centre, in half frame widths, that counts as moving (scenes move it 0.75 to 1.05)."""
LEAST_GROWTH = 1.4
"""Ratio of the areas at both ends that counts as growing (scenes grow 2.9 to 4 times)."""


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB, of everything in two tensors of values 0..1 (clamped to it)."""
    error = (a.clamp(0, 1) - b.clamp(0, 1)).square().mean().item()
    return 10 * math.log10(1 / max(error, 1e-10))


def smoothness(clip: Tensor) -> float:
    """Mean difference of neighbouring frames over that of all pairs of frames: 1 for noise, near 0 for slow motion.

    NaN where nothing moves at all.
    """
    flat = clip.flatten(1)
    frames = len(flat)
    differences = (flat.unsqueeze(0) - flat.unsqueeze(1)).abs().mean(-1)
    neighbours = differences.diagonal(1).mean()
    pairs = differences.sum() / (frames * (frames - 1))
    return float(neighbours / pairs) if pairs > 0 else math.nan


def seam_ratio(clips: Tensor, seams: Sequence[int]) -> float:
    """Mean difference between neighbouring frames of [n, frames, 3, H, W] or [n, frames, H, W, 3] at the seams (the
    numbers of the frames behind them) over that of all others."""
    differences = (clips[:, 1:] - clips[:, :-1]).abs().flatten(2).mean((0, 2))
    at_seam = torch.zeros(len(differences), dtype=torch.bool)
    at_seam[[seam - 1 for seam in seams]] = True
    return float(differences[at_seam].mean() / differences[~at_seam].mean())


def steps_around(clips: Tensor, seams: Sequence[int]) -> list[float]:
    """Mean difference between neighbouring frames over that of all, from the one before the seams to the second behind
    them, as in `seam_ratio`: seams that jump stand out from their neighbours."""
    differences = (clips[:, 1:] - clips[:, :-1]).abs().flatten(2).mean((0, 2))
    places = torch.tensor([seam - 1 for seam in seams])
    return [float(differences[places + step].mean() / differences.mean()) for step in (-1, 0, 1, 2)]


def colour_drift(clips: Tensor, first: int) -> Tensor:
    """How far each frame's mean colour is from that of the `first` frames: [frames], delta E in CIE Lab, mean over
    the clips [n, frames, H, W, 3]."""
    from kornia.color import rgb_to_lab

    colours = torch.stack([rgb_to_lab(clip.clamp(0, 1).movedim(-1, 1)).mean((-2, -1)) for clip in clips])
    return (colours - colours[:, :first].mean(1, keepdim=True)).norm(dim=-1).mean(0)


@dataclass(frozen=True)
class Sighting:
    """The shape in one picture; `area` is a share of the frame, `cover` [H, W] is where it was seen."""

    colour: str
    shape: str
    x: float
    y: float
    area: float
    cover: Tensor


def look_at(picture: Tensor) -> Sighting | None:
    """The most common of the shapes' colours, and the shape it has; None where there is too little of any."""
    labels = _nearest_colours(picture)
    counts = torch.stack([(labels == index).sum() for index in range(len(world.COLOURS))])
    colour = int(counts.argmax())
    cover = labels == colour
    return _sighting(list(world.COLOURS)[colour], cover)


def follow(clip: Tensor, colour: str) -> list[Sighting | None]:
    """What has this colour in each frame."""
    return [_sighting(colour, cover) for cover in covers(clip, colour)]


def covers(clip: Tensor, colour: str) -> Tensor:
    """Where each frame has this colour, bool [frames, H, W]."""
    index = list(world.COLOURS).index(colour)
    return torch.stack([_nearest_colours(frame) == index for frame in clip])


def displacement(clip: Tensor, colour: str) -> float:
    """How far what has this colour moves, in pixels per frame: its centre, or its radius where that changes by more.

    From straight lines through both; the radius is that of a disc of the same area. 0 where it is not seen in most
    frames.
    """
    seen = _seen(follow(clip, colour))
    if not seen:
        return 0.0
    dx, dy, growth = _slopes(seen, len(clip), lambda s: s.x, lambda s: s.y, lambda s: math.sqrt(4 * s.area / math.pi))
    return max(math.hypot(dx, dy), abs(growth)) * clip.shape[-1] / 2 / (len(clip) - 1)


def motion(clip: Tensor, colour: str) -> str:
    """left, right, up, down, grow, shrink, or still, of what has this colour; "" where it is not seen in most frames.

    From straight lines through the centres and the logarithms of the areas of all frames.
    """
    seen = _seen(follow(clip, colour))
    if not seen:
        return ""
    dx, dy, growth = _slopes(seen, len(clip), lambda s: s.x, lambda s: s.y, lambda s: math.log(s.area))
    if abs(growth) > math.log(LEAST_GROWTH) and abs(growth) > 2 * max(abs(dx), abs(dy)):
        return "grow" if growth > 0 else "shrink"
    if max(abs(dx), abs(dy)) < LEAST_WAY:
        return "still"
    if abs(dx) > abs(dy):
        return "right" if dx > 0 else "left"
    return "down" if dy > 0 else "up"


def _seen(sightings: list[Sighting | None]) -> list[tuple[int, Sighting]]:
    """Frames and what was seen in them; nothing where that is not most of the clip."""
    seen = [(index, sighting) for index, sighting in enumerate(sightings) if sighting is not None]
    return seen if len(seen) >= max(2, 3 * len(sightings) // 4) else []


def _slopes(seen: list[tuple[int, Sighting]], frames: int, *values: Callable[[Sighting], float]) -> list[float]:
    """By how much each of the values changes over the clip, on the straight line through all of them."""
    time = torch.tensor([index for index, _ in seen]) / (frames - 1)
    centred = time - time.mean()
    measured = (torch.tensor([value(sighting) for _, sighting in seen]) for value in values)
    return [float((centred * each).sum() / centred.square().sum()) for each in measured]


def _nearest_colours(picture: Tensor) -> Tensor:
    """For each pixel the index of the nearest of the world's colours, shapes' first; a colour has lighter and darker
    shades."""
    palette = torch.tensor([*world.COLOURS.values(), *world.GROUND_COLOURS.values()])
    pixels = picture.clamp(0, 1).flatten(1).T
    shade = (pixels @ palette.T / palette.square().sum(1)).clamp(*SHADES)
    distance = (pixels.unsqueeze(1) - shade.unsqueeze(-1) * palette).square().sum(-1)
    return distance.argmin(1).reshape(picture.shape[1:])


def _sighting(colour: str, cover: Tensor) -> Sighting | None:
    area = cover.float().mean().item()
    if area < LEAST_AREA:
        return None
    size = cover.shape[-1]
    rows, columns = torch.nonzero(cover, as_tuple=True)
    x, y = ((values.float().mean().item() + 0.5) * 2 / size - 1 for values in (columns, rows))
    overlaps = {}
    for shape in world.PLAIN.shapes:
        template = _template(shape, x, y, area, size)
        overlaps[shape] = ((template & cover).sum() / (template | cover).sum()).item()
    return Sighting(colour, max(overlaps, key=overlaps.get), x, y, area, cover)


def _template(shape: str, x: float, y: float, area: float, size: int) -> Tensor:
    """The upright shape with this centre of mass and area, bool [size, size]."""
    unit_area, offset = _proportions(shape)
    radius = math.sqrt(4 * area / unit_area)
    axis = (torch.arange(size) + 0.5) * 2 / size - 1
    p, q = (axis - x) / radius, (axis - y) / radius + offset
    return world.outline(shape, p.reshape(1, -1), q.reshape(-1, 1)) < 0


@cache
def _proportions(shape: str) -> tuple[float, float]:
    """Area of the shape of radius 1, and how far below its origin its centre of mass lies."""
    axis = (torch.arange(400) + 0.5) * 3 / 400 - 1.5
    inside = world.outline(shape, axis.reshape(1, -1), axis.reshape(-1, 1)) < 0
    return inside.float().mean().item() * 9, axis[torch.nonzero(inside)[:, 0]].mean().item()
