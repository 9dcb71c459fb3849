"""Previews while sampling: the host shows one picture of a latent; SEINE's latent format makes it a grid of frames.

web/js/moving_preview.js cuts the grid up and plays it. Without it (or with another preview method) nothing is lost.
"""

from __future__ import annotations

import math
import sys

import comfy.latent_formats
import latent_preview
import torch
from server import PromptServer
from torch import Tensor

LAYOUT_EVENT = "seine_preview_layout"
MOST_FRAMES = 64
"""Of longer clips, as many are shown, evenly spaced."""


def frame_grid(latents: Tensor) -> Tensor:
    """Frames ``[frames, 4, h, w]`` as one picture ``[1, 4, rows*h, columns*w]``; the browser is told the layout."""
    frames = latents.shape[0]
    if frames > MOST_FRAMES:
        latents = latents[torch.linspace(0, frames - 1, MOST_FRAMES).round().long().to(latents.device)]
    shown, channels, height, width = latents.shape
    columns = min(shown, max(1, round(math.sqrt(shown * height / width))))
    rows = math.ceil(shown / columns)
    grid = latents.new_zeros(rows * columns, channels, height, width)
    grid[:shown] = latents
    _announce({"columns": columns, "rows": rows, "frames": shown})
    grid = grid.view(rows, columns, channels, height, width).permute(2, 0, 3, 1, 4)
    return grid.reshape(1, channels, rows * height, columns * width)


def _announce(layout: dict[str, int]) -> None:
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.send_sync(LAYOUT_EVENT, layout, server.client_id)


def arranged(latents: Tensor) -> Tensor:
    """The grid where the host's own previewer asks, which shows one picture.

    Other packs' previewers (VideoHelperSuite's, which plays the clip) ask for some frames and want them back.
    """
    asking = sys._getframe(1).f_globals.get("__name__")
    return frame_grid(latents) if asking == latent_preview.__name__ else latents


class SeineLatentFormat(comfy.latent_formats.SD15):
    """Stable Diffusion 1.x's latents. The hook is the host's own, for latents that must be rearranged to be seen."""

    latent_rgb_factors_reshape = staticmethod(arranged)
