"""What a node is given, checked and worded in one place. Every message names the input, what is wrong, what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

LATENT_CHANNELS = 4
LONGEST_NAME = 200
"""Bytes: file systems take 255, of which a number and an ending need some."""
MOST_LISTED = 12
"""Options that a message names."""
SOUND_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
"""Samples per second that AAC has, in which the host writes the sound of a video."""
SOUND_CHANNELS = (1, 2, 6)
"""Mono, stereo and 5.1: what the host tells its encoder."""
LEAST, MOST = -0.5, 1.5
"""Of an image's values, which are 0 to 1: resizing and decoding may overshoot a little."""


def check_number(value: Any, name: str, low: float, high: float = math.inf) -> None:
    """Raises ValueError for what is no number from `low` to `high`, NaN and infinity above all."""
    if not isinstance(value, int | float) or not low <= value <= high or value == math.inf:
        upper = f" to {high:g}" if high < math.inf else " or more"
        raise ValueError(f"{name}: it is {value!r:.60}; give a number from {low:g}{upper}")


def whole_number(value: Any, name: str, low: int, high: int) -> int:
    """The number as int, which may come as 16.0. Raises ValueError for what is no whole number from `low` to `high`."""
    # The comparison comes first: it keeps NaN and infinity from int().
    if not isinstance(value, int | float) or not low <= value <= high or value != int(value):
        raise ValueError(f"{name}: it is {value!r:.60}; give a whole number from {low} to {high}")
    return int(value)


def check_choice(value: Any, name: str, options: Sequence[str]) -> None:
    """Raises ValueError for what is none of the options."""
    if not isinstance(value, str) or value not in options:
        which = f"one of {', '.join(options)}" if len(options) <= MOST_LISTED else "one from the node's list"
        raise ValueError(f"{name}: there is no {value!r:.60}: choose {which}")


def check_text(value: Any, name: str) -> None:
    """Raises ValueError for what is no text, or holds half a character (a lone surrogate)."""
    if not isinstance(value, str):
        raise ValueError(f"{name}: it is no text but {value!r:.60}: wire in a text, or write one")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{name}: there is half a character in it, which nothing can read: write it anew")


def check_switch(value: Any, name: str) -> None:
    """Raises ValueError for what is neither true nor false (1 and 0 are)."""
    if not isinstance(value, int) or value not in (0, 1):
        raise ValueError(f"{name}: it is {value!r:.60}; give true or false")


def check_latent(latent: Any, name: str) -> None:
    """Raises ValueError for what is no LATENT; its samples are for `check_latents`."""
    if not isinstance(latent, Mapping) or "samples" not in latent:
        raise ValueError(
            f"{name}: there is no latent in it ({type(latent).__name__}): wire in that of a SEINE sampler, SEINE Image "
            "to Video or VAE Encode"
        )


def check_latents(samples: Tensor, name: str, advice: str) -> None:
    """Raises ValueError for latents that are not ``[frames, 4, h, w]`` of at least one frame and pixel.

    advice: where to take them from.
    """
    whole = isinstance(samples, Tensor) and samples.ndim == 4 and samples.shape[1] == LATENT_CHANNELS
    if not whole or not samples.numel() or not samples.is_floating_point():
        shape = f"{list(samples.shape)} of {samples.dtype}" if isinstance(samples, Tensor) else type(samples).__name__
        raise ValueError(f"{name}: expected frames as batch rows [frames, 4, h, w], got {shape}. {advice}")


def check_finite(values: Tensor, name: str, advice: str) -> None:
    """Raises ValueError where there is NaN or infinity; advice: what to do about it."""
    if not torch.isfinite(values).all():
        raise ValueError(f"{name} contains NaN or infinite values{advice}")


def check_images(images: Tensor, name: str) -> None:
    """Raises ValueError for what are not images ``[n, H, W, channels]`` of values 0..1, at least one of one pixel."""
    if not isinstance(images, Tensor) or images.ndim != 4 or not images.numel():
        shape = list(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(
            f"{name}: expected a batch of images [n, H, W, channels], got {shape}: give at least one image of at least "
            "one pixel"
        )
    if not images.is_floating_point():
        raise ValueError(f"{name}: expected values from 0 to 1, got whole numbers ({images.dtype}): divide them by 255")
    finite = torch.isfinite(images)
    if not finite.all():
        bad = (~finite).flatten(1).any(1).nonzero().flatten().tolist()
        raise ValueError(
            f"{name}: image {bad[0]} of the batch contains NaN or infinite values: the node that made it failed "
            "(a VAE in half precision, often); fix it there"
        )
    low, high = float(images.min()), float(images.max())
    if low < LEAST or high > MOST:
        raise ValueError(
            f"{name}: expected values from 0 to 1, got {low:g} to {high:g}: the node that made them counts another "
            "way; bring them to 0 to 1"
        )


def check_mask(mask: Any, name: str) -> None:
    """Raises ValueError for what is no MASK ``[frames, H, W]`` or ``[H, W]``, has no pixel, or is not finite."""
    if not isinstance(mask, Tensor) or mask.ndim < 2 or not mask.numel():
        shape = list(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(
            f"{name}: expected one mask for each frame [frames, H, W], got {shape}: use SEINE Mask Builder"
        )
    check_finite(mask, f"{name}: the mask", ": 1 generates a frame and 0 keeps it; use SEINE Mask Builder")


def check_audio(audio: Any, name: str) -> None:
    """Raises ValueError for what is no AUDIO ``[1, channels, samples]`` that a video can hold."""
    audio = audio if isinstance(audio, Mapping) else {}
    waveform, rate = audio.get("waveform"), audio.get("sample_rate")
    whole = isinstance(waveform, Tensor) and waveform.ndim == 3 and waveform.numel() and waveform.is_floating_point()
    if not whole or len(waveform) != 1:
        shape = list(waveform.shape) if isinstance(waveform, Tensor) else type(waveform).__name__
        raise ValueError(
            f"{name}: expected one sound [1, channels, samples], got {shape}: use Load Audio, or unplug it"
        )
    if waveform.shape[1] not in SOUND_CHANNELS:
        raise ValueError(f"{name}: it has {waveform.shape[1]} channels: make it mono or stereo, or unplug it")
    if not isinstance(rate, int | float) or rate not in SOUND_RATES:
        raise ValueError(f"{name}: its sample rate is {rate!r:.60}: bring it to 44100 or 48000, or unplug it")
    check_finite(waveform, f"{name}: the sound", ": make it anew, or unplug it")


def check_conditioning(conditioning: Any, name: str) -> None:
    """Raises ValueError for CONDITIONING without a prompt, or whose embedding is not finite."""
    source = "wire in CLIP Text Encode or SEINE Image to Video"
    if not isinstance(conditioning, list | tuple) or not conditioning:
        raise ValueError(f"{name}: there is no prompt in it: {source}")
    for part in conditioning:
        pair = isinstance(part, list | tuple) and len(part) == 2
        if not pair or not isinstance(part[0], Tensor) or not isinstance(part[1], Mapping):
            raise ValueError(f"{name}: it holds something that is no prompt: {source}")
        check_embedding(part[0], name)


def check_embedding(embedding: Tensor, name: str) -> None:
    """Raises ValueError for a prompt's embedding that is not ``[n, tokens, width]`` or not finite."""
    if embedding.ndim != 3 or not embedding.numel() or not embedding.is_floating_point():
        raise ValueError(
            f"{name}: expected a prompt of [n, tokens, width], got {list(embedding.shape)} of {embedding.dtype}: wire "
            "in CLIP Text Encode"
        )
    check_finite(embedding, f"{name}: the prompt", ": encode it again, with --fp32-text-enc if that happens again")


def check_file_prefix(prefix: Any, name: str) -> None:
    """Raises ValueError for the beginning of a file's name, below any folders, that no file can have."""
    if not isinstance(prefix, str) or "\0" in prefix:
        raise ValueError(f"{name}: {prefix!r:.60} cannot be part of a file's name: write letters and digits")
    try:
        longest = max(len(part.encode()) for part in prefix.replace("\\", "/").split("/"))
    except UnicodeEncodeError:
        raise ValueError(f"{name}: there is half a character in it, which no file can have: write it anew") from None
    if longest > LONGEST_NAME:
        raise ValueError(f"{name}: a part of it is {longest} bytes long, {LONGEST_NAME} are the most: shorten it")
