"""An endless world of captioned clips: one coloured shape over a textured ground, and something that happens.

`scene(seed)` draws a scene and `render(scene)` films it. Lengths are in half frame widths: the frame spans -1..1, x to
the right, y down. Everything follows from the seed.
"""

from __future__ import annotations

import colorsys
import math
import random
from dataclasses import dataclass, replace

import torch
from torch import Tensor

FRAMES, SIZE = 16, 64
COLOURS = {
    "red": (0.86, 0.13, 0.13),
    "yellow": (0.95, 0.82, 0.12),
    "green": (0.10, 0.66, 0.22),
    "blue": (0.12, 0.28, 0.88),
    "purple": (0.58, 0.16, 0.78),
    "white": (0.96, 0.96, 0.96),
}
GROUND_COLOURS = {
    "green": (0.47, 0.62, 0.40),
    "blue": (0.45, 0.60, 0.74),
    "brown": (0.56, 0.43, 0.31),
    "grey": (0.48, 0.48, 0.50),
    "pink": (0.82, 0.58, 0.64),
}
SHAPES = ("ball", "square", "triangle", "ring", "cross")
GROUNDS = ("field", "stripes", "tiles")
DIRECTIONS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}
MOTIONS = {
    **{direction: f"moves {direction}" for direction in DIRECTIONS},
    "grow": "grows",
    "shrink": "shrinks",
    "spin": "spins",
    "recolour": "turns {colour}",
    "still": "stays still",
    **{f"pan {direction}": f"the camera pans {direction}" for direction in DIRECTIONS},
    "zoom in": "the camera zooms in",
    "zoom out": "the camera zooms out",
    "change": "changes into {look}",
}
"""What can happen, and how a caption says it."""
SPEEDS = {"slowly": (0.35, 0.5), "quickly": (0.8, 1.0)}
"""How far, in half frame widths, what moves or pans gets in a clip whose caption says how fast."""
ANY_SPEED = (0.35, 1.0)
_ROOM = 0.6
"""How far a shape may get from its start on."""
_SPEED_SAID = 0.5
"""Share of the captions of what moves or pans that say how fast."""
_SHARES = {"grow": 7, "shrink": 7, "spin": 3, "recolour": 4, "still": 2, "zoom in": 3, "zoom out": 3, "change": 14}
_SHARES |= {direction: 9 for direction in DIRECTIONS} | {f"pan {direction}": 3 for direction in DIRECTIONS}


@dataclass(frozen=True)
class Style:
    """How scenes of a kind are drawn; pairs are least and most."""

    shapes: tuple[str, ...]
    radius: tuple[float, float]
    small_radius: tuple[float, float]
    """Radius of what grows at its start, and of what shrinks at its end."""
    growth: tuple[float, float]
    spread: float
    """How far from the middle a shape may be that does not move."""
    contrast: float
    """Strength of the ground's texture."""


VARIED = Style(SHAPES, (0.34, 0.48), (0.24, 0.3), (1.9, 2.2), 0.4, 1.0)
"""All there is: what the VAE and the text encoder learn."""
PLAIN = Style(("ball", "triangle", "ring", "cross"), (0.46, 0.6), (0.32, 0.38), (1.7, 2.0), 0.25, 0.6)
"""Large shapes that are easily told apart, over calm grounds: what the small UNet learns."""


@dataclass(frozen=True)
class Look:
    """What there is to see; `colour_shift` and `ground_shift` keep two scenes of the same words from being equal."""

    colour: str
    shape: str
    ground_colour: str
    ground: str
    angle: float
    phase: float
    colour_shift: tuple[float, float, float]
    ground_shift: tuple[float, float, float]
    contrast: float

    def words(self) -> tuple[str, str]:
        """The shape and the ground, as captions name them."""
        article = "a " if self.ground == "field" else ""
        return f"a {self.colour} {self.shape}", f"{article}{self.ground_colour} {self.ground}"

    def colour_rgb(self) -> tuple[float, ...]:
        """Red, green and blue of the shape, 0..1."""
        return _shifted(COLOURS[self.colour], self.colour_shift)

    def ground_rgb(self) -> tuple[float, ...]:
        """The same of the ground."""
        return _shifted(GROUND_COLOURS[self.ground_colour], self.ground_shift)


@dataclass(frozen=True)
class Scene:
    """A look, where it is and what happens: `motion` is a key of `MOTIONS`, `amount` how much of it."""

    look: Look
    motion: str
    centre: tuple[float, float]
    radius: float
    amount: float
    second: Look | None = None
    speed: str = ""
    """Of `SPEEDS`, or "" where the caption does not say how fast."""

    @property
    def caption(self) -> str:
        """One sentence in plain English that says all of it."""
        thing, ground = self.look.words()
        words = f"{MOTIONS[self.motion]} {self.speed}".rstrip()
        if self.second is not None:
            words = words.format(colour=self.second.colour, look=" over ".join(self.second.words()))
        if self.motion == "change":
            return f"{thing} over {ground} {words}"
        if words.startswith("the camera"):
            return f"{thing} over {ground}, {words}"
        return f"{thing} {words} over {ground}"


def scene(seed: int, motions: tuple[str, ...] | None = None, style: Style = PLAIN) -> Scene:
    """The scene of this seed; `motions` restricts what happens to some keys of `MOTIONS`."""
    rng = random.Random(f"seine world {seed}")
    names = motions or tuple(MOTIONS)
    motion = rng.choices(names, [_SHARES[name] for name in names])[0]
    look = _look(rng, motion, style)
    radius, amount, second, speed = rng.uniform(*style.radius), 0.0, None, ""
    centre = [rng.uniform(-style.spread, style.spread), rng.uniform(-style.spread, style.spread)]
    if motion in DIRECTIONS or motion.startswith("pan"):
        speed = rng.choice(tuple(SPEEDS)) if rng.random() < _SPEED_SAID else ""
        amount = rng.uniform(*SPEEDS.get(speed, ANY_SPEED))
        direction = DIRECTIONS[motion.split()[-1]]
        if motion.startswith("pan"):
            direction = (-direction[0], -direction[1])
        for axis in (0, 1):
            if direction[axis]:
                # What stays in view tells nothing of where it will go: only the caption does.
                centre[axis] = -direction[axis] * max(amount - _ROOM, 0.0) + rng.uniform(-0.2, 0.2)
    elif motion in ("grow", "shrink"):
        small, amount = rng.uniform(*style.small_radius), rng.uniform(*style.growth)
        radius = small if motion == "grow" else small * amount
        centre = [rng.uniform(-0.25, 0.25), rng.uniform(-0.25, 0.25)]
    elif motion == "spin":
        amount = rng.choice((-1, 1)) * rng.uniform(0.5, 0.8) * math.pi
    elif motion == "recolour":
        others = [name for name in COLOURS if name not in (look.colour, look.ground_colour)]
        second = replace(look, colour=rng.choice(others))
    elif motion.startswith("zoom"):
        amount = rng.uniform(1.5, 1.8)
    elif motion == "change":
        second = _look(rng, motion, style)
    return Scene(look, motion, (centre[0], centre[1]), radius, amount, second, speed)


def render(scene: Scene, frames: int = FRAMES, size: int = SIZE) -> Tensor:
    """The clip, [frames, 3, size, size], values 0..1."""
    time = torch.linspace(0, 1, frames).reshape(-1, 1, 1) if frames > 1 else torch.zeros(1, 1, 1)
    axis = (torch.arange(size) + 0.5) * 2 / size - 1
    x, y = axis.reshape(1, 1, -1), axis.reshape(1, -1, 1)
    zoom, amount = torch.ones_like(time), scene.amount
    motion, _, direction = scene.motion.rpartition(" ")
    if motion == "zoom":
        zoom = amount ** (time if direction == "in" else 1 - time)
    elif motion == "pan":
        x, y = x + DIRECTIONS[direction][0] * amount * time, y + DIRECTIONS[direction][1] * amount * time
    x, y = x / zoom, y / zoom

    step = DIRECTIONS.get(scene.motion, (0.0, 0.0))
    u = x - scene.centre[0] - step[0] * amount * time
    v = y - scene.centre[1] - step[1] * amount * time
    growth = {"grow": 1 + (amount - 1) * time, "shrink": 1 - (1 - 1 / max(amount, 1)) * time}
    radius = scene.radius * growth.get(scene.motion, torch.ones_like(time))
    turn = amount * time if scene.motion == "spin" else torch.zeros_like(time)
    edge = 2 / size / zoom

    picture = _picture(scene.look, x, y, u, v, radius, turn, edge)
    if scene.second is not None:
        other = _picture(scene.second, x, y, u, v, radius, turn, edge)
        # Recolouring takes the whole clip; a change of scene is a dissolve around the middle.
        mix = time if scene.motion == "recolour" else ((time - 0.5) * 2.5 + 0.5).clamp(0, 1)
        picture = torch.lerp(picture, other, mix.unsqueeze(1))
    return picture.expand(frames, -1, -1, -1).clamp(0, 1)


def _picture(
    look: Look, x: Tensor, y: Tensor, u: Tensor, v: Tensor, radius: Tensor, turn: Tensor, edge: Tensor
) -> Tensor:
    """`x`, `y`: place on the ground; `u`, `v`: place from the shape's centre; `edge`: a pixel's width. [F, 3, H, W]"""
    ground = torch.tensor(look.ground_rgb()).reshape(1, 3, 1, 1)
    background = ground * (1 + look.contrast * _texture(look, x, y)).unsqueeze(1)
    cos, sin = torch.cos(turn), torch.sin(turn)
    p, q = (cos * u + sin * v) / radius, (cos * v - sin * u) / radius
    cover = (0.5 - outline(look.shape, p, q) * radius / edge).clamp(0, 1).unsqueeze(1)
    # A soft light from above gives the shape a little volume.
    light = (1 - 0.14 * (v / radius).clamp(-1, 1)).unsqueeze(1)
    colour = torch.tensor(look.colour_rgb()).reshape(1, 3, 1, 1)
    return torch.lerp(background, colour * light, cover)


def _texture(look: Look, x: Tensor, y: Tensor) -> Tensor:
    """Relative brightness of the ground, around 0."""
    cos, sin = math.cos(look.angle), math.sin(look.angle)
    a, b = cos * x + sin * y, cos * y - sin * x
    if look.ground == "stripes":
        return 0.16 * torch.sin(8 * a + look.phase)
    if look.ground == "tiles":
        return 0.2 * torch.sin(6 * x + look.phase) * torch.sin(6 * y + 2 * look.phase)
    waves = torch.sin(5.1 * a + look.phase) + torch.sin(6.7 * b + 2 * look.phase)
    return 0.07 * (waves + torch.sin(4.3 * (a + b) + 3 * look.phase))


def outline(shape: str, p: Tensor, q: Tensor) -> Tensor:
    """Signed distance from the outline of a shape of radius 1 (negative inside; near the outline, in radii)."""
    if shape == "ball":
        return torch.hypot(p, q) - 1
    if shape == "ring":
        return (torch.hypot(p, q) - 0.76).abs() - 0.27
    if shape == "square":
        return torch.maximum(p.abs(), q.abs()) - 0.86
    if shape == "cross":
        arms = torch.maximum(p.abs() - 1, q.abs() - 0.36), torch.maximum(q.abs() - 1, p.abs() - 0.36)
        return torch.minimum(*arms)
    slope = math.sqrt(3) / 2
    return torch.maximum(slope * p.abs() - q / 2 - 0.55, q - 0.75)


def _look(rng: random.Random, motion: str, style: Style) -> Look:
    ground_colour = rng.choice(tuple(GROUND_COLOURS))
    # Balls and rings would turn unseen.
    shapes = [shape for shape in style.shapes if motion != "spin" or shape not in ("ball", "ring")]
    return Look(
        colour=rng.choice([name for name in COLOURS if name != ground_colour]),
        shape=rng.choice(shapes),
        ground_colour=ground_colour,
        ground=rng.choice(GROUNDS),
        angle=rng.uniform(0, math.pi),
        phase=rng.uniform(0, 2 * math.pi),
        colour_shift=_shift(rng, 0.015),
        ground_shift=_shift(rng, 0.02),
        contrast=style.contrast,
    )


def _shift(rng: random.Random, hue: float) -> tuple[float, float, float]:
    return rng.uniform(-hue, hue), rng.uniform(0.9, 1.1), rng.uniform(0.92, 1.05)


def _shifted(rgb: tuple[float, ...], shift: tuple[float, float, float]) -> tuple[float, ...]:
    hue, saturation, value = colorsys.rgb_to_hsv(*rgb)
    return colorsys.hsv_to_rgb((hue + shift[0]) % 1, min(saturation * shift[1], 1), min(value * shift[2], 1))
