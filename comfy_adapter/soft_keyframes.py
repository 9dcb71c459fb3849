"""Keyframes that are kept for a part of the sampling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..seine_model.inputs import check_conditioning, check_number
from ..seine_model.masks import parse_indices
from .keyframes import FRAMES, KEPT_UNTIL, MASK
from .run_checks import check_prompt


def soften(conditioning: list, strength: float, given_frames: str, name: str) -> list:
    """A copy of CONDITIONING whose keyframes are kept up to this share of the noise schedule, and free from there on;
    the same where that is all of it.

    given_frames: which of them, as `parse_indices` reads it, negative ones from the end; all where empty. Raises
    ValueError for conditioning (input `name`) without keyframes or with those of different clips, and for frames that
    are not given.
    """
    check_prompts(conditioning, name)
    check_number(strength, "strength", 0.0, 1.0)
    if strength >= 1.0:
        return list(conditioning)
    masks = masks_of(conditioning, name)
    if not masks:
        raise ValueError(
            f"{name}: it carries no keyframes to soften: wire in the {name} of SEINE Image to Video, with images"
        )
    if any(bool((mask < 0.5).all()) for mask in masks):
        raise ValueError(f"{name}: all of its frames are given, and none is left to make: give fewer keyframes")
    given = torch.stack(masks).amin(0) < 0.5
    chosen = given if not given_frames.strip() else _named(given_frames, given)
    return [[embedding, _softer(options, chosen, strength)] for embedding, options in conditioning]


def check_prompts(conditioning: list, name: str) -> None:
    """Raises ValueError for what is no CONDITIONING, or holds what is no prompt."""
    check_conditioning(conditioning, name)
    for embedding, options in conditioning:
        check_prompt({**options, "cross_attn": embedding}, name)


def masks_of(conditioning: list, name: str) -> list[Tensor]:
    """The masks ``[frames]`` of the prompts that carry one. Raises ValueError for those of clips of several lengths."""
    masks = [options[MASK][: options[FRAMES]].flatten(1)[:, 0] for _, options in conditioning if MASK in options]
    lengths = sorted({len(mask) for mask in masks})
    if len(lengths) > 1:
        raise ValueError(
            f"{name}: its prompts are for clips of {lengths[0]} and of {lengths[-1]} frames: take all from the same "
            "SEINE Image to Video"
        )
    return masks


def _named(text: str, given: Tensor) -> Tensor:
    """Which of the given frames a text names, bool ``[frames]``."""
    try:
        named = parse_indices(text)
    except ValueError as error:
        raise ValueError(f"given_frames: {error}") from error
    chosen = torch.zeros_like(given)
    for frame in named:
        if not -len(given) <= frame < len(given) or not given[frame]:
            places = ", ".join(map(str, given.nonzero().flatten().tolist()))
            raise ValueError(
                f"given_frames: frame {frame} has no image; those that have are {places}: name some of them, or "
                "nothing for all"
            )
        chosen[frame] = True
    return chosen


def _softer(options: dict[str, Any], chosen: Tensor, strength: float) -> dict[str, Any]:
    """The options with those of the chosen frames that are given kept up to this share of the noise schedule."""
    if MASK not in options:
        return options
    given = options[MASK][: options[FRAMES]].flatten(1)[:, 0] < 0.5
    before = options.get(KEPT_UNTIL, (1.0,) * len(given))
    shares = zip(before, (chosen & given.to(chosen.device)).tolist(), strict=True)
    return options | {KEPT_UNTIL: tuple(min(share, strength) if softer else share for share, softer in shares)}
