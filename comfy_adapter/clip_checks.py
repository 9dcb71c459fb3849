"""What samples without an error and is not meant so: latents, prompts and masks that belong to different clips."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from ..seine_model.masks import kept_frames
from .keyframes import FRAMES, LATENT_SCALE, MASK
from .timed_keyframes import END, START, is_timed

CLIP = "seine_clip"
"""In a LATENT of SEINE Image to Video: of how many frames its clips are, and how many of them are given."""
MOST_STRETCHED = 1.1
"""How much wider or higher keyframes may become: sizes of a second pass are rounded to multiples of 8."""


def clip_facts(mask: Tensor) -> dict[str, int]:
    """What a LATENT says under CLIP; mask ``[frames]``."""
    return {"frames": len(mask), "kept": len(kept_frames(mask))}


def check_one_clip(latent: Mapping[str, Any], prompts: Mapping[str, list], mask: Tensor | None) -> None:
    """Raises ValueError for prompts of another clip than the latent's, where a new clip begins with it.

    prompts: CONDITIONING by input; one that carries no clip takes its partner's. mask: that of the sampler, which gives
    frames of the latent itself.
    """
    facts, samples = latent.get(CLIP), latent["samples"]
    if not isinstance(facts, Mapping) or mask is not None or len(samples) % facts["frames"]:  # a part of it, cut out
        return
    if torch.count_nonzero(samples):
        return
    carried = {name: part[1][FRAMES] for name, parts in prompts.items() for part in parts if FRAMES in part[1]}
    if facts["kept"] and not carried:
        raise ValueError(
            f"{', '.join(prompts)}: latent_image is of a clip with {facts['kept']} given frames, of which these "
            "prompts know nothing: wire them through the same SEINE Image to Video"
        )
    for name, frames in carried.items():
        if frames != facts["frames"]:
            raise ValueError(
                f"{name}: it is for a clip of {frames} frames, latent_image for one of {facts['frames']}: take both "
                "from the same SEINE Image to Video"
            )


def check_own_mask(latent: Mapping[str, Any], frames: Tensor) -> None:
    """Raises ValueError for a sampler's mask ``[frames]`` that keeps empty frames, or is for another clip's length."""
    samples, facts = latent["samples"], latent.get(CLIP)
    if isinstance(facts, Mapping) and facts["frames"] == len(samples) > len(frames) > 1:
        raise ValueError(
            f"mask: it has {len(frames)} frames, latent_image is one clip of {len(samples)}: set frames of SEINE Mask "
            "Builder to the clip's"
        )
    kept = kept_frames(frames)
    if kept and not torch.count_nonzero(samples.unflatten(0, (-1, len(frames)))[:, kept]):
        raise ValueError(
            "mask: the frames it keeps are empty in latent_image: unplug mask where SEINE Image to Video gave the "
            "keyframes, or wire in a latent that has them, such as a finished clip"
        )


def check_shapes(keyframes: Tensor, samples: Tensor, latent: Tensor | None) -> None:
    """Raises ValueError for keyframes of another size than an empty latent, or of another shape than one to go on from.

    All ``[rows, 4, h, w]``; latent: what sampling begins with, beside noise.
    """
    (high, wide), (height, width) = keyframes.shape[-2:], samples.shape[-2:]
    if (high, wide) == (height, width):
        return
    empty = latent is None or not torch.count_nonzero(latent)
    stretched = (width / wide) / (height / high)
    if empty or not 1 / MOST_STRETCHED <= stretched <= MOST_STRETCHED:
        given, wanted = (
            f"{LATENT_SCALE * side[1]}x{LATENT_SCALE * side[0]}" for side in ((high, wide), (height, width))
        )
        remedy = "the same SEINE Image to Video" if empty else "a node that keeps its shape"
        raise ValueError(
            f"latent_image: it is {wanted}, the keyframes of positive and negative are {given}: take the latent of "
            f"{remedy}"
        )


def seems_inverted(mask: Tensor, images: int) -> bool:
    """Whether a mask ``[frames]`` keeps most frames for fewer images: black and white may be exchanged."""
    kept = len(kept_frames(mask))
    return kept > len(mask) / 2 and images < kept and len(mask) > 2


def kind_of(prompt: Mapping[str, Any], rows: int) -> str:
    """Of which kind of clip a prompt is, in words; rows: those of the latent."""
    given = "without" if prompt.get(MASK) is None else "with"
    timed = " for a part of the sampling" if is_timed(prompt) else ""
    return f"{prompt.get(FRAMES) or rows} frames {given} keyframes{timed}"


def check_kinds(
    conds: Mapping[str, list | None], rows: int, sigmas: Tensor, to_sigma: Callable[[float], float]
) -> None:
    """Raises ValueError where prompts of a run that act at once are of several kinds of clip.

    conds: by input; to_sigma: of a share of the noise schedule. The host itself compares only prompts that it happens
    to batch, and not those of two hooks or areas.
    """
    acting = dict.fromkeys(
        (name, kind_of(prompt, rows), *_range(prompt)) for name, prompts in conds.items() for prompt in prompts or ()
    )
    levels = sigmas[sigmas > 0].tolist()
    for (name, kind, *one), (other_name, other_kind, *other) in combinations(acting, 2):
        start, end = max(one[0], other[0]), min(one[1], other[1])
        sampled = bool(levels) and to_sigma(start) >= min(levels) and to_sigma(end) <= max(levels)
        if kind != other_kind and start < end and sampled:
            raise ValueError(
                f"The prompts of {name if name == other_name else f'{name} and {other_name}'} are for different clips "
                f"({kind}; {other_kind}). Wire both through SEINE Image to Video and take both of its outputs."
            )


def check_own_prompt(kind: str, kinds: Collection[str]) -> None:
    """Raises ValueError for a prompt of another kind than those of its run, which a node brings past the guider."""
    if kind not in kinds:
        raise ValueError(
            f"model: a node on it (such as Perp-Neg) brings a prompt of its own for a clip of {kind}, and this run is "
            f"for {', '.join(sorted(kinds)) or 'another'}: take that node out, and use a guider instead (such as "
            "Perp-Neg Guider)"
        )


def _range(prompt: Mapping[str, Any]) -> tuple[float, float]:
    """From where to where in the noise schedule a prompt acts, as the host reads it."""
    start, end = prompt.get(START, 0.0), prompt.get(END, 1.0)
    return max(start, prompt.get("clip_start_percent", 0.0)), min(end, prompt.get("clip_end_percent", 1.0))
