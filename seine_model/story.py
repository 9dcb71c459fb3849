"""The script of a film: shots that begin with a given picture, and the transitions between them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

SHOT, TRANSITION = "shot", "transition"
MOST_FRAMES = 100_000
"""Of a film: three and a half hours at 8 frames per second. One digit too many is rather a slip than a wish."""
_LINE = re.compile(r"(shot|transition)\s+(\d+(?:\.\d+)?)\s*(s|seconds?|f|frames?)?\s*:\s*(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Segment:
    """`frames` frames from frame `start` of the film on; a shot's first frame is its picture."""

    kind: str
    prompt: str
    start: int
    frames: int

    def describe(self) -> str:
        last = self.start + self.frames - 1
        return f"frames {self.start} to {last}: {self.kind}: {self.prompt}".rstrip(": ")


def parse_story(script: str, fps: float, pictures: int) -> list[Segment]:
    """One segment for each line such as ``shot 2s: a boat on a lake`` or ``transition 14: night falls``.

    Lengths are in frames, or, with an s, in seconds. Shots and transitions take turns, beginning with a shot; a
    transition at the end leads back into the first shot. Empty lines and those that begin with # are skipped. Raises
    ValueError, naming the line, for one that cannot be read, is out of turn, has no frames or makes the film longer
    than MOST_FRAMES, and where the pictures are not as many as the shots.
    """
    if not 0 < fps < math.inf:
        raise ValueError(f"fps: it is {fps:g}; give frames per second above 0, such as 8")
    segments: list[Segment] = []
    time = 0.0
    for number, line in enumerate(script.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        kind, length, prompt = _parse_line(line, number, fps)
        expected = TRANSITION if segments and segments[-1].kind == SHOT else SHOT
        if kind != expected:
            raise ValueError(
                f"story, line {number}: here comes a {kind}, but shots and transitions take turns, beginning with a "
                f"shot: put a {expected} before it (a shot of 1 frame is its picture alone)"
            )
        start = segments[-1].start + segments[-1].frames if segments else 0
        # Ends are rounded, not lengths, so that rounding does not add up.
        time = min(time + length, 2 * MOST_FRAMES / fps)
        frames = round(time * fps) - start
        if frames < 1:
            raise ValueError(f"story, line {number}: the {kind} has no frames; give it at least 1")
        if start + frames > MOST_FRAMES:
            raise ValueError(
                f"story, line {number}: with this {kind} the film is longer than {MOST_FRAMES} frames: shorten it, or "
                "make several films"
            )
        segments.append(Segment(kind, prompt, start, frames))
    shots = sum(segment.kind == SHOT for segment in segments)
    if not shots:
        raise ValueError('story: it has no shot; write one line per segment, such as "shot 2s: a boat on a lake"')
    if shots != pictures:
        raise ValueError(
            f"story: it has {shots} shot{'s' * (shots != 1)}, each of which begins with an image; {pictures} "
            f"image{'s are' if pictures != 1 else ' is'} wired in: give one for each"
        )
    return segments


def gap_of(segments: Sequence[Segment], index: int) -> tuple[int, int, int]:
    """How many frames are known before a segment's own, how many it generates, and how many are known after them.

    A shot knows its picture; a transition the shots beside it, at the end of the film the first one.
    """
    segment = segments[index]
    if segment.kind == SHOT:
        return 1, segment.frames - 1, 0
    return segments[index - 1].frames, segment.frames, segments[(index + 1) % len(segments)].frames


def _parse_line(line: str, number: int, fps: float) -> tuple[str, float, str]:
    """Kind, length in seconds, prompt."""
    found = _LINE.fullmatch(line)
    if not found:
        raise ValueError(
            f'story, line {number}: cannot read "{line[:60]}"; write "shot", or "transition", its length in frames or '
            'seconds, a colon and the prompt, such as "shot 2s: a boat on a lake" or "transition 14: night falls"'
        )
    kind, amount, unit, prompt = found.groups()
    in_seconds = (unit or "").lower().startswith("s")
    if not in_seconds and "." in amount:
        raise ValueError(f"story, line {number}: {amount} frames is not a whole number; for seconds write {amount}s")
    return kind.lower(), float(amount) / (1 if in_seconds else fps), prompt.strip()
