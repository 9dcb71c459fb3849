"""A prompt that carries no keyframes is for the same clip as the others: it takes theirs, where they are of one mind.

So that a prompt may be combined behind SEINE Image to Video, or a guider may bring an empty one of its own.
"""

from __future__ import annotations

from typing import Any

import torch

from .keyframes import FRAMES, MASK, MASKED_LATENTS


def share_keyframes(conds: dict[str, list[dict[str, Any]]]) -> None:
    """Give keyframes to the prompts of a run, by name of their input, that have none; nothing where others differ."""
    prompts = [prompt for named in conds.values() for prompt in named or ()]
    carrying = [prompt for prompt in prompts if FRAMES in prompt]
    if not carrying or len(carrying) == len(prompts):
        return
    first, *others = carrying
    if all(_same_clip(first, other) for other in others):
        clip = {key: first[key] for key in (FRAMES, MASK, MASKED_LATENTS) if key in first}
        for prompt in prompts:
            if FRAMES not in prompt:
                prompt.update(clip)


def _same_clip(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one[FRAMES] == other[FRAMES] and all(_same(one.get(key), other.get(key)) for key in (MASK, MASKED_LATENTS))


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return one is other or (one.shape == other.shape and torch.equal(one, other.to(one)))
