"""Draws example_inputs/*.png, pictures of the small model's world: `python tools/authoring/render_examples.py`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PIL import Image

from tools.training.small_model import world
from tools.training.small_model.world import Look, Scene

SIZE = 512
"""Enough for the published model; the small one is given them at its own size."""
FOLDER = Path(__file__).resolve().parents[2] / "example_inputs"
AS_IT_IS = (0.0, 1.0, 1.0)


def still(colour: str, shape: str, ground_colour: str, ground: str, centre: tuple[float, float]) -> Scene:
    look = Look(colour, shape, ground_colour, ground, 0.6, 1.0, AS_IT_IS, AS_IT_IS, world.PLAIN.contrast)
    return Scene(look, "still", centre, 0.52, 0.0)


EXAMPLES = {
    "seine_red_ball": still("red", "ball", "green", "field", (-0.45, 0.05)),
    "seine_yellow_ring": still("yellow", "ring", "blue", "stripes", (-0.1, -0.1)),
    "seine_purple_cross": still("purple", "cross", "pink", "field", (-0.1, -0.1)),
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, scene in EXAMPLES.items():
        pixels = world.render(scene, frames=1, size=SIZE)[0].mul(255).round().byte().permute(1, 2, 0)
        Image.fromarray(pixels.contiguous().numpy()).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
