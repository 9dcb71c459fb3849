"""Prompts that change along a clip: from which frame on each holds, and how it is blended with the next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_LINE = re.compile(r"(?:frame\s*)?(-?\d+)\s*[:：]\s*(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class PromptAt:
    """A prompt, and the frame at which it is alone."""

    frame: int
    prompt: str


def parse_prompt_travel(script: str, frames: int) -> list[PromptAt]:
    """One prompt for each line such as ``0: a red ball`` or ``12: a blue ball``, in the order of their frames.

    Frames count from 0, negative ones from the end. Empty lines and those that begin with # are skipped. Raises
    ValueError, naming the line, for one that cannot be read, a frame outside the clip or one that is named twice.
    """
    found: dict[int, PromptAt] = {}
    for number, line in enumerate(script.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        parts = _LINE.fullmatch(line)
        if not parts:
            raise ValueError(
                f'prompts, line {number}: cannot read "{line[:60]}"; write a frame, a colon and the prompt, such as '
                '"0: a red ball" or "12: a blue ball"'
            )
        frame, prompt = int(parts[1]), parts[2]
        if not -frames <= frame < frames:
            raise ValueError(
                f"prompts, line {number}: frame {frame} is outside the clip: its frames are 0 to {frames - 1}; lower "
                "it, or raise frames"
            )
        frame %= frames
        if frame in found:
            raise ValueError(f"prompts, line {number}: frame {frame} has a prompt already: drop one of them")
        found[frame] = PromptAt(frame, prompt)
    if not found:
        raise ValueError('prompts: there is none; write one for each line, such as "0: a red ball"')
    return [found[frame] for frame in sorted(found)]


def weights(prompts: Sequence[PromptAt], frame: int, blend: bool) -> list[tuple[int, float]]:
    """Indices of the prompts that a frame reads, and the share of each; before the first and after the last, that one.

    blend: between two prompts their shares change evenly; otherwise each holds until the next one's frame.
    """
    after = next((index for index, prompt in enumerate(prompts) if prompt.frame > frame), len(prompts))
    if after == 0:
        return [(0, 1.0)]
    before = after - 1
    if after == len(prompts) or not blend or prompts[before].frame == frame:
        return [(before, 1.0)]
    share = (frame - prompts[before].frame) / (prompts[after].frame - prompts[before].frame)
    return [(before, 1.0 - share), (after, share)]
