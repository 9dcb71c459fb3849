"""Previews while sampling: the host shows one picture of a latent; SEINE's latent format makes it a grid of frames.

web/js/moving_preview.js cuts the grid up and plays it. Without it (or with another preview method) nothing is lost. The
host makes none by itself: where the user has not chosen, SEINE's is made.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import comfy.latent_formats
import comfy.utils
import latent_preview
import torch
from comfy.cli_args import LatentPreviewMethod, args
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


def prepare_callback(model: Any, steps: int) -> Callable:
    """The host's callback for a sampler, which shows how far it is; with SEINE's preview where the host makes none."""
    if not _left_to_us():
        return latent_preview.prepare_callback(model, steps)
    bar, picture_of = comfy.utils.ProgressBar(steps), _previewer(model)

    def shown(step: int, x0: Tensor, x: Tensor, total_steps: int) -> None:
        bar.update_absolute(step + 1, total_steps, picture_of(x0))

    return shown


def with_preview(callback: Callable | None, model: Any) -> Callable | None:
    """The same callback, if it is the host's own for a sampler and makes no preview, with SEINE's behind it."""
    hosts = getattr(callback, "__module__", None) == latent_preview.__name__
    if not hosts or not _left_to_us():
        return callback
    picture_of = _previewer(model)

    def shown(step: int, x0: Tensor, x: Tensor, total_steps: int) -> None:
        callback(step, x0, x, total_steps)
        if comfy.utils.PROGRESS_BAR_HOOK is not None:
            comfy.utils.PROGRESS_BAR_HOOK(step + 1, total_steps, picture_of(x0))

    return shown


def _previewer(model: Any) -> Callable[[Tensor], Any]:
    colours = model.model.latent_format
    previewer = latent_preview.Latent2RGBPreviewer(
        colours.latent_rgb_factors, colours.latent_rgb_factors_bias, frame_grid
    )
    return lambda x0: previewer.decode_latent_to_preview_image("JPEG", x0)


def _left_to_us() -> bool:
    """Whether the host makes no preview, and the user has not asked for none."""
    return args.preview_method == LatentPreviewMethod.NoPreviews and not _none_was_chosen()


def _none_was_chosen() -> bool:
    """Whether the user set the interface's live preview to none, which comes with the graph that is running."""
    queue = getattr(getattr(PromptServer, "instance", None), "prompt_queue", None)
    running = getattr(queue, "currently_running", {}).values()
    chosen = (part.get("preview_method") for item in running for part in item if isinstance(part, dict))
    return "none" in chosen


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
