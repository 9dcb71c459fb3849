"""A VIDEO that is still latent: whoever saves it gets its frames decoded a few at a time."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from comfy_api.v0_0_2 import InputImpl, Types
from torch import Tensor

from ..seine_model.inputs import check_audio, check_latents, check_number
from ..seine_model.writing import whole_file
from .decoding import decode_chunks, decode_frames
from .keyframes import LATENT_SCALE

LEAST_FPS = 0.001
"""A thousandth: less is no fraction that a video file can hold."""


class LatentFrames:
    """Stands where the host iterates over IMAGE frames ``[n, 8h, 8w, 3]`` to encode them."""

    def __init__(self, vae: Any, samples: Tensor, frames_at_a_time: int) -> None:
        self.vae, self.samples, self.frames_at_a_time = vae, samples, frames_at_a_time
        height, width = (LATENT_SCALE * side for side in samples.shape[-2:])
        self.shape = torch.Size((len(samples), height, width, 3))

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Tensor]:
        for chunk in decode_chunks(self.vae, self.samples, self.frames_at_a_time):
            yield from chunk

    def decoded(self) -> Tensor:
        return decode_frames(self.vae, self.samples, self.frames_at_a_time)


class LatentVideo(InputImpl.VideoFromComponents):
    """The host's own video, with latents for its frames: saving needs memory for a few frames, however long it is."""

    def __init__(self, frames: LatentFrames, rate: Fraction, audio: dict[str, Any] | None = None) -> None:
        super().__init__(Types.VideoComponents(images=frames, audio=audio, frame_rate=rate))
        self.frames, self.rate, self.audio = frames, rate, audio

    def get_components(self) -> Any:
        """All frames decoded, for nodes that work on images."""
        return Types.VideoComponents(images=self.frames.decoded(), audio=self.audio, frame_rate=self.rate)

    def save_to(self, path: str | os.PathLike | io.BytesIO, *args: Any, **options: Any) -> None:
        """As the host's, but whole or not at all: decoding may fail, or be cancelled, on the way."""
        if not isinstance(path, str | os.PathLike):
            super().save_to(path, *args, **options)
            return
        target = Path(path)
        with whole_file(target, target.suffix) as part:
            super().save_to(str(part), *args, **options)

    def get_dimensions(self) -> tuple[int, int]:
        return self.frames.shape[2], self.frames.shape[1]

    def get_duration(self) -> float:
        return float(len(self.frames) / self.rate)

    def get_frame_count(self) -> int:
        return len(self.frames)

    def get_frame_rate(self) -> Fraction:
        return self.rate


def latent_video(
    vae: Any, samples: Tensor, fps: float, frames_at_a_time: int, audio: dict[str, Any] | None = None
) -> LatentVideo:
    """A VIDEO of LATENT samples ``[n, 4, h, w]``, with sound (AUDIO) or without. Raises ValueError for what is none."""
    check_number(fps, "fps", LEAST_FPS)
    check_latents(samples, "samples", "Use the latent of a SEINE sampler.")
    if audio is not None:
        check_audio(audio, "audio")
    return LatentVideo(LatentFrames(vae, samples, frames_at_a_time), Fraction(fps).limit_denominator(1001), audio)
