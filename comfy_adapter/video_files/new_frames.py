"""Generated frames as a file needs them: in its colours, at its size, decoded a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...seine_model.colour import ColourMatch
from ...seine_model.preprocessing import rescale
from ..decoding import decode_chunks, decode_frames

FRAMES_AT_A_TIME = 8


class NewFrames:
    """Iterates over frames ``[height, width, 3]`` of latents ``[n, 4, h, w]``, as often as they are asked for.

    known ``[m, 8h, 8w, 3]``: frames of the file, and the latents that they were encoded to. What the VAE changes of
    these is undone in the new ones.
    """

    def __init__(
        self, vae: Any, samples: Tensor, known: Tensor, known_latents: Tensor, width: int, height: int
    ) -> None:
        self.vae, self.samples, self.width, self.height = vae, samples, width, height
        self._known, self._known_latents = known, known_latents
        self._colours: ColourMatch | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Tensor]:
        if self._colours is None:
            decoded = decode_frames(self.vae, self._known_latents, FRAMES_AT_A_TIME).cpu().float()
            self._colours = ColourMatch(decoded, self._known)
        for chunk in decode_chunks(self.vae, self.samples, FRAMES_AT_A_TIME):
            for frame in self._colours(chunk.cpu().float()).split(1):
                yield rescale(frame, self.width, self.height)[0]

    def decoded(self) -> Tensor:
        return torch.stack(list(self))
