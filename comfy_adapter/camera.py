"""A camera over a given picture: what it would see of a still leads the clip for a part of the sampling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..seine_model.camera import moved_stills
from ..seine_model.inputs import check_number
from .decoding import decode_frames
from .encoding import encode_images
from .keyframes import FRAMES, MASK, MASKED_LATENTS
from .soft_keyframes import check_prompts, in_turn, masks_of


def with_camera(
    prompts: dict[str, list], vae: Any, pan: float, tilt: float, zoom: float, strength: float
) -> dict[str, list]:
    """CONDITIONING by input, led by a camera over the first given frame; the same where nothing moves.

    Up to `strength`, a share of the noise schedule, every frame to make is given as the moved still, and free behind
    it; see `moved_stills`. Raises ValueError for prompts that carry no given frame.
    """
    for name, value, low in (("pan", pan, -1), ("tilt", tilt, -1), ("zoom", zoom, -1), ("strength", strength, 0)):
        check_number(value, name, low, 1.0)
    for name, conditioning in prompts.items():
        check_prompts(conditioning, name)
        if not masks_of(conditioning, name):
            raise ValueError(
                f"{name}: it carries no picture for the camera to move over: wire in the {name} of SEINE Image to "
                "Video, with first_image"
            )
    if not strength or not (pan or tilt or zoom):
        return prompts
    led: list[tuple[Tensor, Tensor, Tensor]] = []  # of a clip: its own mask and latents, and the latents that lead it

    def leading(options: dict[str, Any]) -> dict[str, Any]:
        mask, latents = options[MASK], options[MASKED_LATENTS]
        known = [lead for own_mask, own, lead in led if _equal(own_mask, mask) and _equal(own, latents)]
        if not known:
            known = [_moved(mask[: options[FRAMES]], latents, vae, (pan, tilt, zoom))]
            led.append((mask, latents, known[0]))
        return options | {MASK: torch.zeros_like(mask), MASKED_LATENTS: known[0]}

    return {
        name: [
            part
            for embedding, options in conditioning
            for part in (
                in_turn(embedding, leading(options), options, strength) if MASK in options else [[embedding, options]]
            )
        ]
        for name, conditioning in prompts.items()
    }


def _moved(mask: Tensor, latents: Tensor, vae: Any, motion: tuple[float, float, float]) -> Tensor:
    """The latents ``[clips*frames, 4, h, w]`` with the first given frame of each clip, moved, for those to make."""
    made = mask.flatten(1)[:, 0] >= 0.5
    first, frames = int((~made).nonzero()[0]), len(made)
    times = [(index - first) / max(frames - 1, 1) for index in made.nonzero().flatten().tolist()]
    clips = latents.clone().unflatten(0, (-1, frames))
    for clip in clips if times else ():
        picture = decode_frames(vae, clip[first : first + 1], 1)[0]
        clip[made.to(clip.device)] = encode_images(vae, moved_stills(picture, times, *motion), "vae").to(clip)
    return clips.flatten(0, 1)


def _equal(a: Tensor, b: Tensor) -> bool:
    return a is b or (a.shape == b.shape and torch.equal(a, b))
