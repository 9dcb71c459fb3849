"""Frames after, before and between clips, and loops."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...seine_model.inputs import check_finite, check_images, check_latents
from ...seine_model.preprocessing import prepare_keyframes
from ..encoding import encode_images
from ..keyframes import LATENT_SCALE, check_size, encode_gray
from ..timed_keyframes import say_of_no_use
from .film import FilmMaker, Gap, Settings

DIRECTIONS = ("after", "before", "between", "loop")


def clip_latents(vae: Any, latent: dict | None, images: Tensor | None, latent_name: str, images_name: str) -> Tensor:
    """A clip's latents ``[frames, 4, h, w]``, from whichever of the two inputs is wired in.

    Raises ValueError where both or none are, for latents of another layout, and for images of a size that the VAE
    cannot keep.
    """
    if (latent is None) == (images is None):
        wrong = "nothing is" if latent is None else "both are"
        raise ValueError(f"{latent_name}, {images_name}: {wrong} wired in: wire the clip into one of them")
    if latent is None:
        check_images(images, images_name)
        height, width = images.shape[1:3]
        try:
            check_size(width, height)
        except ValueError as error:
            raise ValueError(f"{images_name}: {error}; scale the images to that first") from error
        prepared = prepare_keyframes(images, width, height, name=images_name)
        return encode_images(vae, prepared, images_name).cpu().float()
    samples = latent["samples"]
    check_latents(samples, latent_name, "Use the latent of a SEINE sampler or of VAE Encode.")
    check_finite(samples, f"{latent_name}: the latent", ", so sampling it failed: lower cfg there, or make it anew")
    return samples.cpu().float()


def extend(
    model: Any,
    vae: Any,
    positive: list,
    negative: list,
    direction: str,
    clip: Tensor,
    other: Tensor | None,
    frames: int,
    seed: int,
    settings: Settings,
) -> Tensor:
    """The new latents ``[frames, 4, h, w]``; `other`: the clip after the gap, for "between".

    Raises ValueError for clips shorter than the overlap, of different sizes, or windows that leave nothing to generate.
    """
    nothing = clip[:0]
    after = {"after": nothing, "before": clip, "between": other, "loop": clip}[direction]
    for name, known in (("the clip", clip), ("the next clip", other)):
        if known is not None and len(known) < settings.overlap:
            raise ValueError(
                f"overlap is {settings.overlap}, but {name} has {len(known)} frame{'s' * (len(known) != 1)}: lower "
                "overlap, or give more frames"
            )
    if other is not None and other.shape[1:] != clip.shape[1:]:
        sizes = [f"{rows.shape[-1] * LATENT_SCALE}x{rows.shape[-2] * LATENT_SCALE}" for rows in (clip, other)]
        raise ValueError(f"next clip: it is {sizes[1]}, the clip is {sizes[0]}: scale one of them")
    say_of_no_use({"positive": positive, "negative": negative}, "an extended film gives its frames")
    gray = encode_gray(vae, clip.shape[-1] * LATENT_SCALE, clip.shape[-2] * LATENT_SCALE).cpu().float()
    before = nothing if direction == "before" else clip
    gap = Gap(f"{frames} frames", before, frames, after, positive, negative, seed, direction == "loop")
    return FilmMaker(model, gray, settings, len(gap.windows(settings))).fill(gap)
