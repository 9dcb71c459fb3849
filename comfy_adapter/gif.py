"""Animated GIF files in the host's output folder, by Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
import torch
from PIL import Image

COLOURS = 256
SAMPLES = 64, 96
"""How many frames the palette is chosen from, and the size in pixels to which these are brought."""
HUNDREDTHS = 100
"""Pillow takes milliseconds, GIF stores hundredths of a second."""


def save_gif(images: torch.Tensor, fps: float, prefix: str, dither: bool) -> dict[str, Any]:
    """Write frames [n, H, W, 3 or more], values 0..1, as the next file of this prefix; returns what the node shows.

    All frames share one palette, so that nothing flickers. Raises ValueError where there are no colour frames.
    """
    if images.ndim != 4 or len(images) == 0 or images.shape[-1] < 3:
        raise ValueError(f"images: expected RGB frames [n, H, W, 3], got {tuple(images.shape)}: give frames of a clip")
    frames = [Image.fromarray(_bytes(image)) for image in images[..., :3]]
    height, width = images.shape[1:3]
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        prefix, folder_paths.get_output_directory(), width, height
    )
    file = f"{name}_{counter:05}_.gif"
    palette = _palette(frames)
    how = Image.Dither.FLOYDSTEINBERG if dither else Image.Dither.NONE
    first, *others = (frame.quantize(palette=palette, dither=how) for frame in frames)
    first.save(
        Path(folder) / file,
        save_all=True,
        append_images=others,
        duration=durations(len(frames), fps),
        loop=0,
        disposal=1,
    )
    return {"images": [{"filename": file, "subfolder": subfolder, "type": "output"}], "animated": (True,)}


def durations(frames: int, fps: float) -> list[int]:
    """Milliseconds of each frame, whole hundredths of a second that add up to the clip's length."""
    ends = [round(index * HUNDREDTHS / fps) for index in range(frames + 1)]
    return [10 * (end - start) for start, end in zip(ends, ends[1:], strict=False)]


def _palette(frames: list[Image.Image]) -> Image.Image:
    """The colours that suit all frames, found on small copies of some of them."""
    count, size = SAMPLES
    chosen = frames[:: -(-len(frames) // count)]
    strip = Image.new("RGB", (size * len(chosen), size))
    for index, frame in enumerate(chosen):
        strip.paste(frame.resize((size, size), Image.Resampling.NEAREST), (size * index, 0))
    return strip.quantize(COLOURS, Image.Quantize.MEDIANCUT)


def _bytes(image: torch.Tensor) -> np.ndarray:
    return (image.cpu().clamp(0, 1) * 255).round().byte().numpy()
