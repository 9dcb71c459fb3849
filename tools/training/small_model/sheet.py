"""A contact sheet: clips as rows of frames, with what was given and the caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

FRAMES = (0, 2, 4, 6, 9, 11, 13, 15)
SIDE, GAP, TEXT_HEIGHT = 80, 4, 16
COLOURS = 255


@dataclass(frozen=True)
class Row:
    """`given`: the pictures the model got, [n, 3, H, W], at most two; `clip` [frames, 3, H, W]."""

    caption: str
    given: Sequence[Tensor]
    clip: Tensor


def contact_sheet(rows: Sequence[Row], file: Path) -> None:
    """Write a PNG: caption above, given pictures on the left, frames of the clip on the right of each row."""
    columns = 2 + len(FRAMES)
    row_height = TEXT_HEIGHT + SIDE + GAP
    sheet = Image.new("RGB", (columns * (SIDE + GAP) + 3 * GAP, len(rows) * row_height + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for index, row in enumerate(rows):
        top = GAP + index * row_height
        draw.text((GAP, top), row.caption, fill="black")
        pictures = [*((column, picture) for column, picture in enumerate(row.given))]
        pictures += [(2 + column, row.clip[frame]) for column, frame in enumerate(FRAMES)]
        for column, picture in pictures:
            left = GAP + column * (SIDE + GAP) + (2 * GAP if column >= 2 else 0)
            sheet.paste(_image(picture), (left, top + TEXT_HEIGHT))
    sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)


def rows_of(scenes: Sequence, truth: Sequence[Tensor], clips: Mapping[str, Tensor], count: int = 8) -> list[Row]:
    """The first scenes' clips, tasks in turn: what each task was given, and its caption with the task in front."""
    tasks = list(clips)
    rows = []
    for index in range(count):
        task = tasks[index % len(tasks)]
        real = truth[index]
        given = {"image to video": [real[0]], "transition": [real[0], real[-1]]}.get(task, [])
        rows.append(Row(f"{task}: {scenes[index].caption}", given, clips[task][index]))
    return sorted(rows, key=lambda row: tasks.index(row.caption.split(":")[0]))


def _image(picture: Tensor) -> Image.Image:
    pixels = picture.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(pixels.contiguous().numpy()).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
