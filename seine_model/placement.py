"""Which frames of a clip several pictures are, where no mask says so."""

from __future__ import annotations

from .masks import parse_indices


def places(frames: int, between: int, text: str = "", first: int = 0, last: int = 0) -> list[int]:
    """The frames that pictures take: `first` of them at the start, `between`, then `last` at the end, in this order.

    text: the frames of those between, as `parse_indices` reads them, negative ones from the end; where empty they are
    spread evenly over the clip. Raises ValueError where they are not as many, lie outside the clip or on one another.
    """
    if first + last > frames:
        raise ValueError(
            f"first_image, last_image: {first + last} images at the ends of a clip of {frames} frames: raise frames, "
            "or wire in fewer"
        )
    middle = _named(text, frames, between) if text.strip() else _spread(frames, between, first, last)
    taken = [*range(first), *middle, *range(frames - last, frames)]
    twice = next((frame for frame in taken if taken.count(frame) > 1), None)
    if twice is not None:
        raise ValueError(
            f"keyframe_places: frame {twice} is given twice: write another frame for each image, and leave the ends to "
            "first_image and last_image where they are wired in"
        )
    return taken


def _named(text: str, frames: int, images: int) -> list[int]:
    try:
        named = parse_indices(text)
    except ValueError as error:
        raise ValueError(f"keyframe_places: {error}") from error
    if len(named) != images:
        raise ValueError(
            f"keyframe_places: {len(named)} frames for {images} image{'s' * (images != 1)} in keyframes: write one for "
            "each, or nothing to spread them evenly"
        )
    for frame in named:
        if not -frames <= frame < frames:
            raise ValueError(
                f"keyframe_places: frame {frame} is outside the clip: its frames are 0 to {frames - 1}; change it, or "
                "raise frames"
            )
    return [frame % frames for frame in named]


def _spread(frames: int, images: int, first: int, last: int) -> list[int]:
    """Evenly between the ends that are given, else up to the ends themselves."""
    if not images:
        return []
    if first + images + last > frames:
        raise ValueError(
            f"keyframes: {first + images + last} images for a clip of {frames} frames: raise frames, or wire in fewer"
        )
    start, stop = max(first - 1, 0), frames - max(last, 1)
    points = images + (first > 0) + (last > 0)
    if points == 1:
        return [start]
    step = (stop - start) / (points - 1)
    inner = range(1 if first else 0, points - (1 if last else 0))
    return [start + int(step * point + 0.5) for point in inner]
