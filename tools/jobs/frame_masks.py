"""Which frames of a clip are given, as SEINE Mask Builder takes it; said as ``first1``, ``onelast2``, ``0, 7, 15``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.jobs.values import nearest

_NAMED = re.compile(r"(first|last|onelast)(\d{1,4})")
_INDICES = re.compile(r"\s*-?\d{1,4}(?:\s*[,;]?\s+|\s*[,;]\s*|$)(?:-?\d{1,4}(?:\s*[,;]?\s+|\s*[,;]\s*|$))*")
_MODES = {"first": "first frames", "last": "last frames", "onelast": "first and last frames"}


@dataclass(frozen=True)
class FrameMask:
    """Inputs of SEINE Mask Builder, and the numbers of images that fill the given frames."""

    mode: str
    count: int
    indices: str
    images: tuple[int, ...]


def read_mask(mask: str, frames: int) -> FrameMask | str:
    """A mask of a clip of `frames` frames, or what is wrong with it."""
    if mask == "all":
        return FrameMask("text to video", 1, "0", (0,))
    if named := _NAMED.fullmatch(mask):
        place, count = named[1], int(named[2])
        most = frames // 2 if place == "onelast" else frames
        if not 1 <= count <= most:
            return f"{mask} does not fit into {frames} frames; the nearest right one is {place}{max(1, most)}"
        images = (2, 2 * count) if place == "onelast" else (1, count)
        return FrameMask(_MODES[place], count, "0", images)
    if not _INDICES.fullmatch(mask):
        known = ("first1", "onelast1", "last1", "all")
        return f"{mask!r:.40} is not known; the nearest right one is {nearest(mask, known)}, or frames such as 0, 7, 15"
    indices = [int(word) for word in re.findall(r"-?\d+", mask)]
    for index in indices:
        if not -frames <= index < frames:
            return f"frame {index} is outside the clip; the nearest right one is {0 if index < 0 else frames - 1}"
    kept = {index % frames for index in indices}
    return FrameMask("custom keyframes", 1, ", ".join(map(str, indices)), (len(kept),))


def mask_problem(mask: str, frames: int, images: int) -> str | None:
    """What is wrong with a mask of so many frames for so many images; None where nothing is."""
    read = read_mask(mask, frames)
    if isinstance(read, str):
        return read
    if images not in read.images:
        wanted = " or ".join(map(str, dict.fromkeys(read.images)))
        return f"{mask} wants {wanted} image{'s' * (wanted != '1')}, and images has {images}; give as many"
    return None
