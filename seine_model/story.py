"""The script of a film: shots that begin with a given picture, and the transitions between them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

SHOT, TRANSITION, CUT = "shot", "transition", "cut"
MOST_FRAMES = 100_000
"""Of a film: three and a half hours at 8 frames per second. One digit too many is rather a slip than a wish."""
MOST_SEED = 2**63 - 1
_KINDS = {"镜头": SHOT, "转场": TRANSITION, "过渡": TRANSITION, "切": CUT, "硬切": CUT}
_LINE = re.compile(
    r"(shot|transition|镜头|转场|过渡)\s*(\d+(?:\.\d+)?)\s*(s|secs?|seconds?|秒|f|frames?|帧)?"
    r"(?:\s+(?:seed|种子)\s*(\d{1,19}))?\s*[:：]\s*(.*)",
    re.IGNORECASE,
)
_CUT = re.compile(r"(?:cut|切|硬切)\s*[:：]?", re.IGNORECASE)


@dataclass(frozen=True)
class Segment:
    """`frames` frames from frame `start` of the film on; a shot's first frame is its picture."""

    kind: str
    prompt: str
    start: int
    frames: int
    seed: int | None = None
    """Its own, where the script gives one."""

    def describe(self) -> str:
        last = self.start + self.frames - 1
        return f"frames {self.start} to {last}: {self.kind}: {self.prompt}".rstrip(": ")


def parse_story(script: str, fps: float, pictures: int) -> list[Segment]:
    """One segment for each line such as ``shot 2s: a boat on a lake`` or ``transition 14: night falls``.

    Lengths are in frames, or, with an s, in seconds; ``seed 7`` behind them gives a segment a seed of its own. Shots
    and transitions take turns, beginning with a shot; the line ``cut`` stands for a transition without frames, and a
    transition at the end leads back into the first shot. Empty lines and those that begin with # are skipped. Raises
    ValueError, naming the line, for one that cannot be read, is out of turn, has no frames or makes the film longer
    than MOST_FRAMES, and where the pictures are not as many as the shots.
    """
    if not 0 < fps < math.inf:
        raise ValueError(f"fps: it is {fps:g}; give frames per second above 0, such as 8")
    segments: list[Segment] = []
    time, before = 0.0, ""
    for number, line in enumerate(script.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        kind, length, seed, prompt = _parse_line(line, number, fps)
        if (kind == SHOT) == (before == SHOT):
            expected = "transition, or cut," if kind == SHOT else "shot"
            raise ValueError(
                f"story, line {number}: here comes a {kind}, but shots and transitions take turns, beginning with a "
                f"shot: put a {expected} before it (a shot of 1 frame is its picture alone)"
            )
        before = kind
        if kind == CUT:
            continue
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
        segments.append(Segment(kind, prompt, start, frames, seed))
    if before == CUT:
        raise ValueError("story: it ends with a cut, which leads nowhere: drop that line, or write a shot after it")
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


def _parse_line(line: str, number: int, fps: float) -> tuple[str, float, int | None, str]:
    """Kind, length in seconds, seed, prompt."""
    if _CUT.fullmatch(line):
        return CUT, 0.0, None, ""
    found = _LINE.fullmatch(line)
    if not found:
        raise ValueError(
            f'story, line {number}: cannot read "{line[:60]}"; write "shot", or "transition", its length in frames or '
            'seconds, a colon and the prompt, such as "shot 2s: a boat on a lake" or "transition 14: night falls"; or '
            '"cut" alone'
        )
    kind, amount, unit, seed, prompt = found.groups()
    in_seconds = (unit or "").lower().startswith(("s", "秒"))
    if not in_seconds and "." in amount:
        raise ValueError(f"story, line {number}: {amount} frames is not a whole number; for seconds write {amount}s")
    if seed is not None and int(seed) > MOST_SEED:
        raise ValueError(f"story, line {number}: seed {seed} is larger than {MOST_SEED}: choose another")
    length = float(amount) / (1 if in_seconds else fps)
    return _KINDS.get(kind, kind.lower()), length, None if seed is None else int(seed), prompt.strip()
