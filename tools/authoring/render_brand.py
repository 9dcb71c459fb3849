"""Draws assets/icon.png and assets/banner.png for the registry: `python tools/authoring/render_brand.py`.

Two given frames and what SEINE makes between them: a ball that becomes a square while day turns into night.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PIL import Image, ImageDraw

FOLDER = Path(__file__).resolve().parents[2] / "assets"
ICON, BANNER = (400, 400), (1260, 540)
OVERSAMPLING = 4
BACKGROUND = "#171a26"
GIVEN = "#e9edf7"
"""Outline of the frames that are given."""
DAY, NIGHT = (255, 178, 76), (58, 66, 150)
SHAPE_BY_DAY, SHAPE_BY_NIGHT = (214, 46, 60), (236, 222, 120)


def mix(a: tuple[int, ...], b: tuple[int, ...], share: float) -> tuple[int, ...]:
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))


def frame(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], time: float, given: bool) -> None:
    """One frame of the transition, `time` 0..1, within left, top, right, bottom."""
    left, top, right, bottom = box
    side = right - left
    line = side / 18
    draw.rounded_rectangle(box, side / 7, mix(DAY, NIGHT, time), GIVEN if given else None, round(line) if given else 0)
    radius = side * 0.23
    x, y = left + side * (0.38 + 0.24 * time), (top + bottom) / 2
    corner = radius * (1 - time) + radius * 0.12 * time
    shape = (x - radius, y - radius, x + radius, y + radius)
    draw.rounded_rectangle(shape, corner, mix(SHAPE_BY_DAY, SHAPE_BY_NIGHT, time))


def canvas(size: tuple[int, int]) -> Image.Image:
    return Image.new("RGB", tuple(OVERSAMPLING * length for length in size), BACKGROUND)


def icon() -> Image.Image:
    """Both given frames, and one between them behind."""
    image = canvas(ICON)
    draw, side = ImageDraw.Draw(image), image.width
    frame(draw, (side * 0.3, side * 0.3, side * 0.7, side * 0.7), 0.5, False)
    frame(draw, (side * 0.08, side * 0.08, side * 0.5, side * 0.5), 0.0, True)
    frame(draw, (side * 0.5, side * 0.5, side * 0.92, side * 0.92), 1.0, True)
    return image.resize(ICON, Image.Resampling.LANCZOS)


def banner(frames: int = 7) -> Image.Image:
    """A row of frames, of which the first and the last are given."""
    image = canvas(BANNER)
    draw, pitch = ImageDraw.Draw(image), image.width * 0.94 / frames
    for index in range(frames):
        given = index in (0, frames - 1)
        side = pitch * (0.96 if given else 0.8)
        x, y = image.width * 0.03 + pitch * (index + 0.5), image.height / 2
        frame(draw, (x - side / 2, y - side / 2, x + side / 2, y + side / 2), index / (frames - 1), given)
    return image.resize(BANNER, Image.Resampling.LANCZOS)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    icon().save(FOLDER / "icon.png", optimize=True)
    banner().save(FOLDER / "banner.png", optimize=True)


if __name__ == "__main__":
    main()
