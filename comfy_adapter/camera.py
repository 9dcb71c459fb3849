"""A camera over a given picture: what it would see of a still leads the clip for a part of the sampling."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..seine_model.camera import moved_stills
from ..seine_model.inputs import check_number
from .decoding import decode_frames
from .encoding import encode_images
from .keyframes import CAMERA, FRAMES, MASK, MASKED_LATENTS, alike
from .soft_keyframes import check_prompts, masks_of

Motion = tuple[float, float, float]
"""Pan, tilt and zoom, see `moved_stills`."""
LEAST = 1e-6
"""Motions that cancel each other come to less than that."""


def with_camera(
    prompts: dict[str, list], vae: Any, pan: float, tilt: float, zoom: float, strength: float
) -> dict[str, list]:
    """CONDITIONING by input, led by a camera over the first given frame; the same where nothing moves.

    Up to `strength`, a share of the noise schedule, every frame to make is given as the moved still, and free behind
    it; see `moved_stills`. Motions of several cameras add up, each to its own strength. Raises ValueError for prompts
    that carry no given frame.
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
    led: list[tuple[dict[str, Any], tuple]] = []  # prompts, and what leads each

    def leading(options: dict[str, Any]) -> dict[str, Any]:
        if MASK not in options:
            return options
        for other, known in led:
            if all(alike(options.get(key), other.get(key)) for key in (MASK, MASKED_LATENTS, CAMERA)):
                return options | {CAMERA: known}
        moves = _added(options.get(CAMERA, ()), strength, (pan, tilt, zoom))
        mask = options[MASK][: options[FRAMES]]
        stills = [_moved(mask, options[MASKED_LATENTS], vae, motion) if _moves(motion) else None for _, motion in moves]
        led.append((options, tuple((*move, still) for move, still in zip(moves, stills, strict=True))))
        return options | {CAMERA: led[-1][1]}

    return {
        name: [[embedding, leading(options)] for embedding, options in conditioning]
        for name, conditioning in prompts.items()
    }


def _added(cameras: tuple, strength: float, motion: Motion) -> list[tuple[float, Motion]]:
    """The motion up to each share of the noise schedule, of cameras that a prompt carries and another one."""
    shares = sorted({strength, *(share for share, _, _ in cameras)})
    before = [next((known for until, known, _ in cameras if share <= until), (0.0, 0.0, 0.0)) for share in shares]
    up_to = zip(shares, before, strict=True)
    return [(share, _sum(known, motion) if share <= strength else known) for share, known in up_to]


def _sum(one: Motion, other: Motion) -> Motion:
    pan, tilt, zoom = (a + b for a, b in zip(one, other, strict=True))
    return pan, tilt, zoom


def _moves(motion: Motion) -> bool:
    return any(abs(part) > LEAST for part in motion)


def _moved(mask: Tensor, latents: Tensor, vae: Any, motion: Motion) -> Tensor:
    """The latents ``[clips*frames, 4, h, w]`` with the first given frame of each clip, moved, for those to make."""
    made = mask.flatten(1)[:, 0] >= 0.5
    first, frames = int((~made).nonzero()[0]), len(made)
    times = [(index - first) / max(frames - 1, 1) for index in made.nonzero().flatten().tolist()]
    clips = latents.clone().unflatten(0, (-1, frames))
    for clip in clips if times else ():
        picture = decode_frames(vae, clip[first : first + 1], 1)[0]
        clip[made.to(clip.device)] = encode_images(vae, moved_stills(picture, times, *motion), "vae").to(clip)
    return clips.flatten(0, 1)
