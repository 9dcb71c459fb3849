"""Keyframes as conditioning: what a clip keeps, encoded by the VAE, carried by positive and negative alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor

from ..seine_model.inputs import check_conditioning, check_images, check_mask
from ..seine_model.masks import MODES, assign_keyframes, frame_mask, kept_frames
from ..seine_model.placement import places
from ..seine_model.preprocessing import FIT_CLIP, MID_GRAY, prepare_keyframes, size_like
from .encoding import encode_images
from .intermediates import kept

MASK = "seine_mask"
MASKED_LATENTS = "seine_masked_latents"
FRAMES = "seine_frames"
KEPT_UNTIL = "seine_kept_until"
"""For each frame, the share of the noise schedule in which it is kept, if it is given; see `timed_keyframes`."""
CAMERA = "seine_camera"
"""What leads the frames to make: a share of the noise schedule, the motion up to there, and the moved stills' latents
(None where nothing moves), in the order of the shares."""
CARRIED = (FRAMES, MASK, MASKED_LATENTS, KEPT_UNTIL, CAMERA)
"""All that a prompt carries of its clip."""

LATENT_SCALE = 8


def check_size(width: int, height: int) -> None:
    """Raises ValueError, naming the nearest valid size, where a side is not a positive multiple of 8."""
    if width % LATENT_SCALE or height % LATENT_SCALE or min(width, height) < LATENT_SCALE:
        nearest = [max(LATENT_SCALE, round(side / LATENT_SCALE) * LATENT_SCALE) for side in (width, height)]
        raise ValueError(
            f"size {width}x{height}: width and height must be multiples of {LATENT_SCALE}; the nearest valid size is "
            f"{nearest[0]}x{nearest[1]}"
        )


def build_mask(mode: str, count: int, indices: str, frames: int, width: int, height: int) -> Tensor:
    """A MASK ``[frames, height, width]``, one value a frame; mode: of `MODES`. Raises ValueError, see `frame_mask`."""
    check_size(width, height)
    mask = kept(frame_mask(MODES[mode].format(count=count, indices=indices), frames))
    return mask.view(-1, 1, 1).expand(-1, height, width)


def frame_values(mask: Tensor) -> Tensor:
    """A MASK ``[frames, H, W]`` (1 = generate) to one value per frame ``[frames]``.

    Raises ValueError for a frame that is neither kept nor generated as a whole: SEINE was trained on whole frames.
    """
    if isinstance(mask, Tensor):  # SEINE Mask Builder says one value for all pixels of a frame, and holds it once
        for dim in range(mask.ndim):
            mask = mask.narrow(dim, 0, 1) if dim >= mask.ndim - 2 and not mask.stride(dim) and mask.numel() else mask
    check_mask(mask, "mask")
    mask = mask.reshape(-1, *mask.shape[-2:])
    low, high = mask.flatten(1).amin(1), mask.flatten(1).amax(1)
    mixed = ((low < 0.5) != (high < 0.5)).nonzero().flatten().tolist()
    if mixed:
        raise ValueError(
            f"mask: frame {mixed[0]} is partly kept. SEINE keeps or generates whole frames: use SEINE Mask Builder."
        )
    return (high >= 0.5).float()


def fit_to_latents(mask: Tensor, masked_latents: Tensor, size: torch.Size) -> tuple[Tensor, Tensor]:
    """Both to the latent size ``(h, w)``, for a second pass at another resolution."""
    if mask.shape[-2:] != size:
        mask = F.interpolate(mask.float(), tuple(size), mode="nearest")
    if masked_latents.shape[-2:] != size:
        masked_latents = F.interpolate(masked_latents.float(), tuple(size), mode="bilinear")
    return mask, masked_latents


def refuse_keyframes(name: str) -> NoReturn:
    """ValueError for frames to keep that reached a model which reads none; name: the input they came by."""
    raise ValueError(
        f"{name}: frames to keep are given, and this model (LaVie's base) makes clips of text alone: set mode of SEINE "
        "Mask Builder to text to video and unplug keyframes, or load SEINE itself"
    )


def encode_gray(vae: Any, width: int, height: int) -> Tensor:
    """Latent ``[1, 4, h, w]`` of one mid-gray frame."""
    return encode_images(vae, torch.full((1, height, width, 3), MID_GRAY), "vae")


def encode_keyframes(
    vae: Any, mask: Tensor, pictures: Mapping[str, Tensor], width: int, height: int, resize_mode: str
) -> Tensor:
    """Latents ``[frames, 4, h, w]`` of the clip with its kept frames in place and mid-gray elsewhere.

    mask ``[frames]``; pictures ``[n, H, W, channels]`` each, of any size, by the input they come from, in the order of
    the frames. Every distinct image is encoded once. Raises ValueError where the images do not fit the mask.
    """
    taken = kept_frames(mask)
    images = sum(map(len, pictures.values()))
    if taken and not images:
        raise ValueError(f"the mask keeps {len(taken)} frames but no keyframes are wired in: wire in their images")
    latents = encode_gray(vae, width, height).repeat(len(mask), 1, 1, 1)
    if images:
        assigned = assign_keyframes(mask, images)
        encoded = [
            encode_images(vae, prepare_keyframes(picture, width, height, resize_mode, name), name)
            for name, picture in pictures.items()
        ]
        latents[taken] = torch.cat(encoded)[assigned].to(latents)
    return latents


def given_frames(
    pictures: Mapping[str, Tensor], mask: Tensor | None, frames: int, places_of: str
) -> tuple[Tensor, dict[str, Tensor]]:
    """The frame mask ``[frames]``, and the pictures in the order of the frames they are.

    A MASK says it by itself; without one, first_image and last_image are the ends and the others are between, at
    `places_of`, see `places`. Raises ValueError for what are no images, and for places that are not theirs.
    """
    for name, images in pictures.items():
        check_images(images, name)
    if mask is not None:
        if places_of.strip():
            raise ValueError("keyframe_places: mask says which frames are given: empty keyframe_places, or unplug mask")
        return frame_values(mask), dict(pictures)
    first, last = (len(pictures.get(name, ())) for name in ("first_image", "last_image"))
    taken = places(frames, sum(map(len, pictures.values())) - first - last, places_of, first, last)
    generated = torch.ones(frames)
    generated[taken] = 0
    return generated, in_order(pictures, taken)


def in_order(pictures: Mapping[str, Tensor], taken: Sequence[int]) -> dict[str, Tensor]:
    """The pictures, of which the k-th image is frame ``taken[k]``, in the order of their frames."""
    if list(taken) == sorted(taken):
        return dict(pictures)
    single = [
        (f"{name} {index}", image) for name, images in pictures.items() for index, image in enumerate(images.split(1))
    ]
    return dict(image for _, image in sorted(zip(taken, single, strict=True), key=lambda placed: placed[0]))


def clip_size(pictures: Mapping[str, Tensor], width: int, height: int, resize_mode: str) -> tuple[int, int, str]:
    """Width and height of the clip, and how its pictures are brought to it; see `FIT_CLIP`."""
    if resize_mode != FIT_CLIP:
        return width, height, resize_mode
    first = next(iter(pictures.values()), None)
    return (width, height, "crop") if first is None else (*size_like(first, width, height, LATENT_SCALE), "crop")


def attach(conditioning: list, mask: Tensor, masked_latents: Tensor) -> list:
    """A copy of CONDITIONING that carries a clip's mask ``[frames]`` and masked latents ``[frames, 4, h, w]`` alone.

    Masked latents may be those of several clips, one after the other. Raises ValueError for none to carry them.
    """
    check_conditioning(conditioning, "positive, negative")
    frames = len(mask)
    values: dict[str, Any] = {FRAMES: frames, MASKED_LATENTS: masked_latents}
    if kept_frames(mask):
        values[MASK] = mask.to(masked_latents.device).view(frames, 1, 1, 1).expand(-1, 1, *masked_latents.shape[-2:])
    return [
        [embedding, {key: value for key, value in options.items() if key not in CARRIED} | values]
        for embedding, options in conditioning
    ]


def alike(one: Any, other: Any) -> bool:
    """Whether two values of what prompts carry are the same, wherever they lie."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one is other or (one.shape == other.shape and torch.equal(one, other.to(one)))
    return not isinstance(one, Tensor) and not isinstance(other, Tensor) and one == other
