"""Animated GIF files in the host's output folder, by Pillow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
import numpy as np
import torch
from PIL import Image

from ..seine_model.inputs import check_file_prefix, check_images, check_number
from ..seine_model.writing import whole_file

COLOURS = 256
SAMPLES = 64, 96
"""How many frames the palette is chosen from, and the size in pixels to which these are brought."""
LARGEST_SIDE = 65535
SLOWEST = 0.01
"""Frames per second: slower ones stand longer than a GIF can say."""
HUNDREDTHS = 100
"""Pillow takes milliseconds, GIF stores hundredths of a second."""
LONGEST = 10 * 65535
"""Milliseconds that one frame of a GIF can stand; Pillow adds up those of equal frames, and fails beyond."""


def save_gif(images: torch.Tensor, fps: float, prefix: str, dither: bool) -> dict[str, Any]:
    """Write frames [n, H, W, 3 or more], values 0..1, as the next file of this prefix; returns what the node shows.

    All frames share one palette, so that nothing flickers. Raises ValueError where there are no colour frames.
    """
    check_images(images, "images")
    if images.shape[-1] < 3:
        raise ValueError(f"images: expected RGB frames [n, H, W, 3], got {tuple(images.shape)}: give frames of a clip")
    if max(images.shape[1:3]) > LARGEST_SIDE:
        sides = f"{images.shape[2]}x{images.shape[1]}"
        raise ValueError(f"images: they are {sides}, a GIF has at most {LARGEST_SIDE} pixels a side: scale them down")
    check_number(fps, "fps", SLOWEST)
    check_file_prefix(prefix, "filename_prefix")
    frames = [Image.fromarray(_bytes(image)) for image in images[..., :3]]
    height, width = images.shape[1:3]
    folder, file, subfolder = _next_file(prefix, width, height)
    palette = _palette(frames)
    how = Image.Dither.FLOYDSTEINBERG if dither else Image.Dither.NONE
    progress = comfy.utils.ProgressBar(len(frames))
    lengths = durations(len(frames), fps)
    quantized = parted((_quantized(frame, palette, how, progress) for frame in frames), lengths)
    timing = {"duration": lengths, "loop": 0}
    try:
        with whole_file(folder / file) as part:
            next(quantized).save(part, "GIF", save_all=True, append_images=quantized, disposal=1, **timing)
    except OSError as problem:
        raise OSError(f"filename_prefix: {problem}") from problem
    return {"images": [{"filename": file, "subfolder": subfolder, "type": "output"}], "animated": (True,)}


def durations(frames: int, fps: float) -> list[int]:
    """Milliseconds of each frame, whole hundredths of a second that add up to the clip's length."""
    ends = [round(index * HUNDREDTHS / fps) for index in range(frames + 1)]
    return [10 * (end - start) for start, end in zip(ends, ends[1:], strict=False)]


def parted(frames: Iterator[Image.Image], lengths: Sequence[int]) -> Iterator[Image.Image]:
    """The frames, in mode P; equal ones that together stand longer than a frame can are parted by one that is not equal
    for Pillow, but looks the same: a pixel of it is transparent, so what stands there stays."""
    if sum(lengths) <= LONGEST:
        yield from frames
        return
    before, standing = None, 0
    for frame, length in zip(frames, lengths, strict=True):
        standing = standing + length if frame.tobytes() == before else length
        if standing > LONGEST:
            frame, standing = _with_a_transparent_pixel(frame), length
        before = frame.tobytes()
        yield frame


def _with_a_transparent_pixel(frame: Image.Image) -> Image.Image:
    marked, place = frame.copy(), (0, 0)
    other = 1 if frame.getpixel(place) == 0 else 0
    marked.putpixel(place, other)
    marked.info["transparency"] = other
    return marked


def _next_file(prefix: str, width: int, height: int) -> tuple[Path, str, str]:
    """Folder, name and sub-folder of the next file of this prefix."""
    output = folder_paths.get_output_directory()
    try:
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, output, width, height)
    except (OSError, ValueError) as problem:
        raise ValueError(f"filename_prefix: there can be no such folder ({problem}): write another one") from problem
    except Exception as problem:  # the host has no class of its own for it
        raise ValueError(
            f"filename_prefix: {prefix!r:.80} is outside of the output folder: write a name, or sub-folder/name"
        ) from problem
    return Path(folder), f"{name}_{counter:05}_.gif", subfolder


def _quantized(
    frame: Image.Image, palette: Image.Image, how: Image.Dither, progress: comfy.utils.ProgressBar
) -> Image.Image:
    """One frame, unless the run was cancelled."""
    comfy.model_management.throw_exception_if_processing_interrupted()
    progress.update(1)
    return frame.quantize(palette=palette, dither=how)


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
