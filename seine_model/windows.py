"""Long clips as a row of short ones: which frames each window of the model shows, keeps and contributes.

Frames are counted from the first frame to generate: what is known before it has negative numbers, what is known after
it begins at `gap`. This is the paper's autoregressive prediction (arXiv 2310.20700, section 3.3) and its
transition between two given clips, put together so that a gap of any length can be filled.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """A clip of `length` frames from frame `start` on.

    `kept` are positions in it (0 = its first frame) whose frames are known when its turn comes; `first` and `last` are
    the first and last frame, in the numbers of the gap, that it contributes.
    """

    start: int
    length: int
    kept: tuple[int, ...]
    first: int
    last: int


def plan(before: int, gap: int, after: int, window: int, overlap: int) -> list[Window]:
    """Windows, in the order to generate them, that fill `gap` frames between `before` and `after` known ones.

    Each window shows the model `window` frames, `overlap` of them known at each end that has known frames (fewer where
    fewer are known). Only a gap that is shorter than that is one shorter window. With nothing known on either side the
    first window is text to video. Raises ValueError for a gap of no frames or windows that would contribute nothing.
    """
    if gap < 1:
        raise ValueError(f"frames: {gap} to generate: give at least 1")
    ends = 2 if before and after else 1
    if overlap < 1 or ends * overlap >= window:
        both = "at both ends " if ends == 2 else ""
        most = (window - 1) // ends
        remedy = f"choose it from 1 to {most}" if most else f"raise window to {ends + 1} or more"
        raise ValueError(
            f"overlap: an overlap of {overlap} frames {both}leaves nothing to generate in windows of {window}: {remedy}"
        )
    if after and not before:
        return [_mirrored(forward, gap) for forward in _forward(after, gap, window, overlap)]
    if not after:
        return _forward(before, gap, window, overlap)
    trail = min(overlap, after)
    if gap <= window - min(overlap, before) - trail:
        lead = min(overlap, before)
        return [_between(-lead, lead + gap + trail, lead, trail)]
    # The last window closes the gap at its full length; the ones before it may contribute less than they show.
    closing = window - overlap - trail
    predicted = gap - closing
    lead = min(overlap, before + predicted)
    return [
        *_forward(before, predicted, window, overlap),
        _between(predicted - lead, lead + gap - predicted + trail, lead, trail),
    ]


def _forward(before: int, gap: int, window: int, overlap: int) -> list[Window]:
    windows, frame = [], 0
    while frame < gap:
        lead = min(overlap, before + frame)
        end = min(frame + window - lead, gap)
        windows.append(Window(frame - lead, window, tuple(range(lead)), frame, end - 1))
        frame = end
    return windows


def _between(start: int, length: int, lead: int, trail: int) -> Window:
    kept = (*range(lead), *range(length - trail, length))
    return Window(start, length, kept, start + lead, start + length - trail - 1)


def _mirrored(window: Window, gap: int) -> Window:
    return Window(
        start=gap - window.start - window.length,
        length=window.length,
        kept=tuple(sorted(window.length - 1 - position for position in window.kept)),
        first=gap - 1 - window.last,
        last=gap - 1 - window.first,
    )
