"""Draws the thumbnails of the template browser, workflows/*.jpg: `python tools/authoring/render_thumbnails.py`.

Each shows a clip of 16 frames in reading order: frames that are given in a heavy border, generated ones in a thin one.
Needs Pillow and torch.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from PIL import Image, ImageDraw

from tools.authoring import apps
from tools.hosting.workflow_graph import interface_file
from tools.training.small_model import world

SIZE, SCALE = 400, 3  # pixels; drawn larger and reduced, which smooths the edges
FRAMES = 16
TOP = 60
"""Where pictures begin: above, at the left, the interface puts a badge."""
AIM = 0.5, 0.2
"""What a camera that moves in is aimed at: parts of what it leaves out that are at the left and above."""

Colour = tuple[int, int, int]
BACKGROUND: Colour = (30, 32, 38)
GIVEN: Colour = (255, 196, 61)
GENERATED: Colour = (104, 110, 124)
DAY: tuple[Colour, ...] = ((126, 190, 232), (255, 226, 120), (108, 158, 96), (70, 122, 74))
NIGHT: tuple[Colour, ...] = ((24, 30, 66), (236, 236, 222), (52, 62, 104), (34, 40, 76))


def _mixed(a: Colour, b: Colour, amount: float) -> Colour:
    return tuple(round(x + (y - x) * amount) for x, y in zip(a, b, strict=True))


def scene(width: int, height: int, time: float, night: float) -> Image.Image:
    """Two hills and a sun (or moon) at `time` 0..1 on its way across; `night` 0..1 mixes the two palettes."""
    sky, sun, far, near = (_mixed(day, dark, night) for day, dark in zip(DAY, NIGHT, strict=True))
    image = Image.new("RGB", (width, height), sky)
    draw = ImageDraw.Draw(image)
    radius = height * 0.13
    x, y = width * (0.18 + 0.64 * time), height * (0.42 - 0.8 * time * (1 - time))
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=sun)
    draw.ellipse((-0.3 * width, 0.55 * height, 0.75 * width, 1.6 * height), fill=far)
    draw.ellipse((0.25 * width, 0.65 * height, 1.4 * width, 1.7 * height), fill=near)
    return image


def _place(canvas: Image.Image, box: tuple[int, int, int, int], time: float, night: float, given: bool) -> None:
    """Draw one frame into `box` (left, top, width, height in pixels of the thumbnail)."""
    _paste(canvas, box, scene(*(SCALE * value for value in box[2:]), time, night), given)


def _paste(canvas: Image.Image, box: tuple[int, int, int, int], picture: Image.Image, given: bool) -> None:
    left, top, width, height = (SCALE * value for value in box)
    canvas.paste(picture.resize((width, height)), (left, top))
    border = SCALE * (4 if given else 1)
    around = (left - border, top - border, left + width + border - 1, top + height + border - 1)
    ImageDraw.Draw(canvas).rectangle(around, outline=GIVEN if given else GENERATED, width=border)


def _canvas() -> Image.Image:
    return Image.new("RGB", (SIZE * SCALE, SIZE * SCALE), BACKGROUND)


def clip(
    given: set[int], transition: bool = False, top: int = TOP, gap: int = 16, columns: int = 4, frames: int = FRAMES
) -> Image.Image:
    """All frames of one clip in a grid; `given` are the numbers of the frames that the user supplies."""
    canvas = _canvas()
    width = (SIZE - 2 * 24 - (columns - 1) * gap) // columns
    height = (SIZE - top - 24 - (frames // columns - 1) * gap) // (frames // columns)
    for frame in range(frames):
        row, column = divmod(frame, columns)
        time = frame / (frames - 1)
        box = (24 + column * (width + gap), top + row * (height + gap), width, height)
        _place(canvas, box, time, time if transition else 0.0, frame in given)
    return canvas


def shapes_clip(last_colour: str = "red") -> Image.Image:
    """A clip of the small model's world, below two lines for its prompt; its colour may change on the way."""
    looks = [
        world.Look(colour, "ball", "green", "field", 0.6, 1.0, (0.0, 1.0, 1.0), (0.0, 1.0, 1.0), world.PLAIN.contrast)
        for colour in ("red", last_colour)
    ]
    first, last = (world.render(world.Scene(look, "right", (-0.45, 0.0), 0.5, 0.9), size=SCALE * 64) for look in looks)
    frames = torch.lerp(first, last, torch.linspace(0, 1, len(first)).view(-1, 1, 1, 1))
    canvas = _canvas()
    _prompt(canvas)
    for number, frame in enumerate(frames.mul(255).round().byte().permute(0, 2, 3, 1)):
        row, column = divmod(number, 4)
        _paste(canvas, (50 + column * 80, 128 + row * 66, 58, 58), Image.fromarray(frame.numpy()), False)
    return canvas


def looped_clip(frames: int = 12) -> Image.Image:
    """Frames in a circle; day becomes night and day again."""
    canvas = _canvas()
    width, height = 60, 45
    for frame in range(frames):
        turn = frame / frames
        x, y = (SIZE / 2 + 135 * f(2 * math.pi * turn - math.pi / 2) for f in (math.cos, math.sin))
        box = (round(x - width / 2), round(y + 20 - height / 2), width, height)
        there_and_back = 1 - abs(2 * turn - 1)
        _place(canvas, box, there_and_back, there_and_back, frame == 0)
    return canvas


def prompted_clip() -> Image.Image:
    """A clip with no frame given, below two lines that stand for a prompt."""
    canvas = clip(set(), top=132)
    _prompt(canvas)
    return canvas


def _prompt(canvas: Image.Image) -> None:
    draw = ImageDraw.Draw(canvas)
    draw.rounded_rectangle([SCALE * v for v in (24, TOP, 376, TOP + 52)], SCALE * 12, outline=GIVEN, width=SCALE * 4)
    for top, right in ((TOP + 14, 348), (TOP + 30, 250)):
        draw.rounded_rectangle([SCALE * v for v in (44, top, right, top + 8)], SCALE * 4, fill=(214, 218, 226))


def chained_clip() -> Image.Image:
    """A short row of small frames, and below it more and larger ones, one behind the other."""
    canvas = _canvas()
    for number in range(4):
        time = number / 3
        _place(canvas, (24 + number * 94, TOP, 70, 56), time, time, number in (0, 3))
    draw = ImageDraw.Draw(canvas)
    draw.polygon([SCALE * v for v in (176, 130, 224, 130, 200, 152)], fill=GENERATED)
    for number in range(13):
        time = number / 12
        _place(canvas, (24 + number * 12, 172 + number * 3, 208, 162), time, time, number in (0, 12))
    return canvas


def twofold_clip() -> Image.Image:
    """Some frames, and below them the same ones larger."""
    canvas = _canvas()
    for number in range(4):
        _place(canvas, (42 + number * 80, TOP, 64, 48), number / 3, 0.0, number == 0)
    draw = ImageDraw.Draw(canvas)
    draw.polygon([SCALE * v for v in (176, 122, 224, 122, 200, 144)], fill=GENERATED)
    for number in range(4):
        row, column = divmod(number, 2)
        _place(canvas, (24 + column * 184, 158 + row * 112, 168, 96), number / 3, 0.0, number == 0)
    return canvas


def stopped_clip() -> Image.Image:
    """A clip still in noise, a bar half full, and the same clip done."""
    canvas = _canvas()
    draw = ImageDraw.Draw(canvas)
    generator = torch.Generator().manual_seed(0)
    for row, top in enumerate((TOP, 242)):
        for number in range(8):
            line, column = divmod(number, 4)
            picture = scene(SCALE * 76, SCALE * 56, number / 7, 0.0)
            if row == 0 and number:
                noise = torch.randint(256, (28, 38, 3), generator=generator, dtype=torch.uint8)
                grain = Image.fromarray(noise.numpy()).resize(picture.size, Image.Resampling.NEAREST)
                picture = Image.blend(picture, grain, 0.4)
            _paste(canvas, (24 + column * 92, top + line * 70, 76, 56), picture, number == 0)
    for right, colour in ((376, GENERATED), (200, GIVEN)):
        draw.rounded_rectangle([SCALE * v for v in (24, 209, right, 221)], SCALE * 6, fill=colour)
    return canvas


def pairs_of_pictures(frames: int = 6) -> Image.Image:
    """A folder's pairs, one below the other, and what leads from the first to the last of each."""
    canvas = _canvas()
    ways = [((0.0, 1.0), (0.0, 1.0)), ((0.2, 0.2), (1.0, 0.0)), ((1.0, 0.0), (0.0, 0.0)), ((0.7, 0.7), (0.0, 1.0))]
    for row, (times, nights) in enumerate(ways):
        for number in range(frames):
            part = number / (frames - 1)
            time, night = (start + (end - start) * part for start, end in (times, nights))
            outside = number in (0, frames - 1)
            left = 18 + number * 60 + (0 if number == 0 else 14 if outside else 7)
            _place(canvas, (left, TOP + 6 + row * 82, 50, 62), time, night, outside)
    return canvas


def strip_of_film(known: int = 12, new: int = 13) -> Image.Image:
    """Strips of film: the frames of a file, and those that go on from them."""
    canvas = _canvas()
    draw = ImageDraw.Draw(canvas)
    columns = 5
    for row in range(-(-(known + new) // columns)):
        top = TOP + row * 66
        draw.rectangle([SCALE * v for v in (18, top, 382, top + 58)], fill=(16, 17, 20))
        for hole in range(24):
            for edge in (top + 3, top + 51):
                left = 24 + hole * 15
                draw.rectangle([SCALE * v for v in (left, edge, left + 7, edge + 4)], fill=BACKGROUND)
    for number in range(known + new):
        row, column = divmod(number, columns)
        box = (24 + column * 72, TOP + row * 66 + 12, 64, 34)
        _place(canvas, box, number / (known + new - 1), 0.0, number < known)
    return canvas


def few_steps_clip(steps: int = 4, columns: int = 5) -> Image.Image:
    """Frames of a clip in columns, from noise at the left to the clip at the right, a column for each step."""
    canvas = _canvas()
    generator = torch.Generator().manual_seed(0)
    for row in range(4):
        picture = scene(SCALE * 60, SCALE * 66, 0.15 + row / 4, 0.0)
        noise = torch.randint(256, (33, 30, 3), generator=generator, dtype=torch.uint8)
        grain = Image.fromarray(noise.numpy()).resize(picture.size, Image.Resampling.NEAREST)
        for column in range(columns):
            box = (24 + column * 73, TOP + 4 + row * 80, 60, 66)
            _paste(canvas, box, Image.blend(grain, picture, column / steps), column == steps)
    return canvas


def changed_clip() -> Image.Image:
    """Two prompts that differ in a word, each with its clip."""
    canvas = _canvas()
    draw = ImageDraw.Draw(canvas)
    for top, night, word in ((TOP, 0.0, GENERATED), (TOP + 164, 1.0, GIVEN)):
        outline = [SCALE * v for v in (24, top, 376, top + 36)]
        draw.rounded_rectangle(outline, SCALE * 12, outline=GIVEN, width=SCALE * 4)
        for left, right, fill in ((44, 150, GENERATED), (162, 236, word), (248, 352, GENERATED)):
            draw.rounded_rectangle([SCALE * v for v in (left, top + 13, right, top + 23)], SCALE * 5, fill=fill)
        for number in range(4):
            _place(canvas, (24 + number * 92, top + 52, 76, 90), number / 3, night, False)
    return canvas


def redrawn_clip() -> Image.Image:
    """Frames of a video, and below each, at the same time, the one that another prompt makes of it."""
    canvas = _canvas()
    for column in range(4):
        left, time = 24 + column * 92, column / 3
        _place(canvas, (left, TOP + 6, 76, 124), time, 0.0, True)
        arrow = (left + 22, TOP + 144, left + 54, TOP + 144, left + 38, TOP + 162)
        ImageDraw.Draw(canvas).polygon([SCALE * v for v in arrow], fill=GENERATED)
        _place(canvas, (left, TOP + 178, 76, 124), time, 1.0, False)
    return canvas


def zoomed_clip(zoom: float = 1.9) -> Image.Image:
    """A clip whose camera moves in; in the first frame, around what it will see in the end."""
    canvas = _canvas()
    width, height, gap = 76, 66, 16
    for number in range(FRAMES):
        time = number / (FRAMES - 1)
        row, column = divmod(number, 4)
        box = (24 + column * (width + gap), TOP + row * (height + gap), width, height)
        picture = scene(SCALE * 2 * width, SCALE * 2 * height, 0.35 + 0.3 * time, 0.0)
        scale = zoom**time
        seen = [side / scale for side in picture.size]
        left, top = (at * (side - part) for at, side, part in zip(AIM, picture.size, seen, strict=True))
        cut = picture.crop((round(left), round(top), round(left + seen[0]), round(top + seen[1])))
        _paste(canvas, box, cut, not number)
    left, top = (24 + round(AIM[0] * width * (1 - 1 / zoom)), TOP + round(AIM[1] * height * (1 - 1 / zoom)))
    around = [SCALE * v for v in (left, top, left + round(width / zoom), top + round(height / zoom))]
    ImageDraw.Draw(canvas).rectangle(around, outline=GIVEN, width=SCALE * 2)
    return canvas


def thumbnails() -> dict[str, Image.Image]:
    """Picture by workflow name, RGB, 400x400."""
    drawn = {
        "image_to_video": clip({0}),
        "transition": clip({0, FRAMES - 1}, transition=True),
        "keyframes": clip({0, 7, FRAMES - 1}, transition=True),
        "text_to_video": prompted_clip(),
        "transition_upscale_interpolate": chained_clip(),
        "batch_transitions": pairs_of_pictures(),
        "stop_and_go_on": stopped_clip(),
        "four_steps": few_steps_clip(),
        "interactive": changed_clip(),
        "motion_and_camera": zoomed_clip(),
        "video_to_video": redrawn_clip(),
        "second_pass": twofold_clip(),
        "extend_video": clip({0}, gap=10, columns=6, frames=48),
        "loop": looped_clip(),
        "extend_file": strip_of_film(),
        "try_the_small_model": shapes_clip(),
        "prompt_travel": shapes_clip("blue"),
        "story": clip({0, 12, 24}, transition=True, gap=12, columns=5, frames=25),
    }
    return {name: image.resize((SIZE, SIZE), Image.Resampling.LANCZOS) for name, image in drawn.items()}


def main() -> None:
    for name, image in thumbnails().items():
        for suffix in (".jpg", f"{apps.SUFFIX}.jpg")[: 1 + (name in apps.APPS)]:
            image.save(interface_file(name, suffix), quality=88, optimize=True)


if __name__ == "__main__":
    main()
