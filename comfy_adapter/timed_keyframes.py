"""Keyframes that change in the course of the sampling.

A prompt carries its clip as SEINE Image to Video gave it, and beside it how that changes. Only when a run starts is it
divided, by the host's own timestep ranges: until then it is one prompt of one clip, whatever nodes do to it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ..seine_model.inputs import check_conditioning
from .keyframes import CAMERA, FRAMES, KEPT_UNTIL, MASK, MASKED_LATENTS
from .progress_text import notice

START, END = "start_percent", "end_percent"
"""Of a prompt, as the host's Conditioning Set Timestep Range writes them; without them 0 and 1."""
TIMED = (KEPT_UNTIL, CAMERA)


def is_timed(prompt: Mapping[str, Any]) -> bool:
    """Whether the keyframes of a prompt change in the course of the sampling."""
    return any(prompt.get(key) is not None for key in TIMED)


def say_of_no_use(prompts: Mapping[str, list], instead: str) -> None:
    """Say so where CONDITIONING, by input, carries what changes in the course of the sampling, and other frames are
    given in its place.

    instead: by what, as a part of a sentence. Raises ValueError for what is no CONDITIONING.
    """
    for name, conditioning in prompts.items():
        check_conditioning(conditioning, name)
    if any(is_timed(options) for conditioning in prompts.values() for _, options in conditioning):
        notice(
            f"{', '.join(prompts)}: {instead} itself, so that SEINE Camera and SEINE Soft Keyframes before it do "
            "nothing: take them out"
        )


def fits(prompt: Mapping[str, Any]) -> bool:
    """Whether how its keyframes change fits the clip that a prompt carries."""
    if not is_timed(prompt):
        return True
    mask, latents = prompt.get(MASK), prompt.get(MASKED_LATENTS)
    kept_until, camera = prompt.get(KEPT_UNTIL, ()), prompt.get(CAMERA, ())
    if mask is None or not isinstance(kept_until, tuple) or not isinstance(camera, tuple):
        return False
    if kept_until and (len(kept_until) != prompt[FRAMES] or not bool((mask >= 0.5).any())):
        return False
    if not all(isinstance(part, tuple) and len(part) == 3 and _like(part[2], latents) for part in camera):
        return False
    return all(isinstance(share, int | float) for share in (*kept_until, *(part[0] for part in camera)))


def divided(prompt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A prompt of a run as those of the parts of the sampling, within its own timestep range."""
    plain = {key: value for key, value in prompt.items() if key not in TIMED}
    if not is_timed(prompt):
        return [plain]
    start, end = prompt.get(START, 0.0), prompt.get(END, 1.0)
    shares = {*prompt.get(KEPT_UNTIL, ()), *(until for until, _, _ in prompt.get(CAMERA, ()))}
    cuts = sorted(share for share in shares if start < share < end)
    parts = [_up_to(last, prompt, plain) for last in (*cuts, end)]
    if cuts:
        for part, (first, last) in zip(parts, pairwise((start, *cuts, end)), strict=True):
            # Step caches know a prompt by its uuid.
            part |= {START: first, END: last, "uuid": uuid.uuid4()}
    return parts


def _up_to(share: float, prompt: Mapping[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    """The prompt in the part of the sampling that ends at this share of the noise schedule."""
    mask, latents = own_mask, own_latents = prompt[MASK], prompt[MASKED_LATENTS]
    led = next((still for until, _, still in prompt.get(CAMERA, ()) if share <= until), None)
    if led is not None:
        mask, latents = torch.zeros_like(mask), led
    free = torch.tensor([share > until for until in prompt.get(KEPT_UNTIL, ())])
    if bool(free.any()):
        # A frame to make shows the network a gray picture, which any such frame of the clip has.
        gray = own_latents[int((own_mask.flatten(1)[:, 0] >= 0.5).nonzero()[0])]
        mask = torch.where(_of_rows(free, mask), 1.0, mask)
        latents = torch.where(_of_rows(free, latents), gray.to(latents), latents)
    part = plain | {MASK: mask, MASKED_LATENTS: latents}
    if bool((mask >= 0.5).all()):
        del part[MASK]
    return part


def _of_rows(chosen: Tensor, rows: Tensor) -> Tensor:
    """For each row of one clip, or of several one after the other."""
    return chosen.to(rows.device).repeat(len(rows) // len(chosen)).view(-1, 1, 1, 1)


def _like(still: Any, latents: Tensor) -> bool:
    return still is None or (isinstance(still, Tensor) and still.shape == latents.shape)
