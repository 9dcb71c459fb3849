"""Which frames are given and which are generated: 1 = generate, 0 = keep."""

from __future__ import annotations

import re

import torch
from torch import Tensor

MODES = {
    "first frames": "first{count}",
    "first and last frames": "onelast{count}",
    "last frames": "last{count}",
    "text to video": "all",
    "custom keyframes": "{indices}",
}
"""What users choose among, as `frame_mask` reads it."""
MOST_IN_A_RANGE = 10_000
"""More frames than a clip has: a slip, of which the ends are enough to be told."""

_COMMAS = re.compile("[,;，、；،]")
_RANGE = re.compile(r"(\d)(\s*)(?:-|–|—|~|～|\.\.|到|至)\2(?=\d)")
"""With space on both sides or none: 15 -1 are two numbers."""
_WORD = re.compile(r"([+-]?\d{1,9})(?:~(\d{1,9}))?")


def frame_mask(spec: str, frames: int) -> Tensor:
    """Float32 ``[frames]`` for "firstN", "lastN", "onelastN" (first N and last N), "all" (nothing kept) or a list of
    kept frames such as "0,7,15" (negative ones count from the end).

    Raises ValueError for a clip without frames, more kept frames than there are, or an index outside the clip.
    """
    if frames < 1:
        raise ValueError(f"frames is {frames}: raise it to at least 1")
    mask = torch.ones(frames)
    if spec == "all":
        return mask
    named = re.fullmatch(r"(first|last|onelast)(\d+)", spec)
    if named:
        place, count = named[1], int(named[2])
        needed = 2 * count if place == "onelast" else count
        if count < 1 or needed > frames:
            both = " at both ends" if place == "onelast" else ""
            most = frames // 2 if place == "onelast" else frames
            raise ValueError(
                f"count: {count} given frames{both} of a clip of {frames}: choose from 1 to {most}, or raise frames"
            )
        if place in ("first", "onelast"):
            mask[:count] = 0
        if place in ("last", "onelast"):
            mask[-count:] = 0
        return mask
    for index in parse_indices(spec):
        if not -frames <= index < frames:
            raise ValueError(
                f"keyframe index {index} is outside the clip: its frames are 0 to {frames - 1}; change indices, "
                "or raise frames"
            )
        mask[index] = 0
    return mask


def parse_indices(text: str) -> list[int]:
    """Whole numbers and ranges such as 0-3, separated by commas, spaces or what other scripts have for a comma.

    Raises ValueError for anything else, and for none at all.
    """
    indices: list[int] = []
    for word in _RANGE.sub(r"\1~", _COMMAS.sub(" ", text)).split():
        found = _WORD.fullmatch(word)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
        if last < first:
            indices = []
            break
        indices += range(first, last + 1) if abs(last - first) <= MOST_IN_A_RANGE else [first, last]
    if not indices:
        raise ValueError(
            f"frame indices must be whole numbers, such as 0, 7, 15 or 0-3, 15; got {text!r:.60}: write them so"
        )
    return indices


def kept_frames(mask: Tensor) -> list[int]:
    """Indices of the kept frames of a frame mask ``[frames]``."""
    return torch.nonzero(mask < 0.5).flatten().tolist()


def assign_keyframes(mask: Tensor, images: int) -> list[int]:
    """For each kept frame of ``[frames]``, the image it shows.

    The k-th image goes to the k-th kept frame. One image also fills one run of kept frames at the start or end, two
    fill such runs at both ends, as the reference does. Raises ValueError saying how many images the mask wants.
    """
    kept = kept_frames(mask)
    frames = len(mask)
    if images == len(kept):
        return list(range(images))
    head = next((i for i, frame in enumerate(kept) if frame != i), len(kept))
    tail = len(kept) - head
    tail_ends_clip = kept[head:] == list(range(frames - tail, frames))
    if images == 1 and kept and tail_ends_clip and (head == 0 or tail == 0):
        return [0] * len(kept)
    if images == 2 and head > 0 and tail > 0 and tail_ends_clip:
        return [0] * head + [1] * tail
    given = f"{images} image{'' if images == 1 else 's'} {'is' if images == 1 else 'are'}"
    if not kept:
        raise ValueError(
            f"the mask keeps no frame, but {given} wired in: unplug keyframes, or choose a mask with kept frames"
        )
    runs = "" if len(kept) == 1 else " (or 1 for a single run at one end, 2 for runs at both ends)"
    raise ValueError(
        f"the mask keeps {len(kept)} frames, so it wants {len(kept)} keyframe images{runs}; {given} wired in: "
        "give as many, or choose another mask"
    )
