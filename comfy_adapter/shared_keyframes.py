"""A prompt that carries no keyframes is for the same clip as the others: it takes theirs, where they are of one mind.

So that a prompt may be combined behind SEINE Image to Video, or a guider may bring an empty one of its own.
"""

from __future__ import annotations

from typing import Any

from .keyframes import CARRIED, FRAMES, MASK, MASKED_LATENTS, alike

_CLIP = (FRAMES, MASK, MASKED_LATENTS)


def share_keyframes(conds: dict[str, list[dict[str, Any]]]) -> None:
    """Give keyframes to the prompts of a run, by name of their input, that have none; nothing where others differ.

    How they change in the course of the sampling may be another for each input.
    """
    carrying = {name: [prompt for prompt in named or () if FRAMES in prompt] for name, named in conds.items()}
    everywhere = [prompt for named in carrying.values() for prompt in named]
    if not _agree(everywhere, _CLIP):
        return
    for name, named in conds.items():
        others = carrying[name] or everywhere
        if _agree(others, CARRIED):
            shared = {key: others[0][key] for key in CARRIED if key in others[0]}
            for prompt in named or ():
                if FRAMES not in prompt:
                    prompt.update(shared)


def _agree(prompts: list[dict[str, Any]], keys: tuple[str, ...]) -> bool:
    """Whether these are of one mind; none at all are not."""
    return bool(prompts) and all(alike(prompts[0].get(key), other.get(key)) for other in prompts[1:] for key in keys)
