"""Draws example_inputs/, pictures and a video of the small model's world: `python tools/authoring/render_examples.py`.

Needs PyAV.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import av
from PIL import Image

from tools.training.small_model import world
from tools.training.small_model.world import Look, Scene

SIZE = 512
"""Enough for the published model; the small one is given them at its own size."""
VIDEO_SIZE, VIDEO_FRAMES, FPS = 384, 12, 8
"""Of the video: no more pixels than the published model takes at its default size; a second and a half."""
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
VIDEO = "seine_moving_ball"
STEP = 0.06
"""Way of the ball from frame to frame, in half frame widths: the middle of what the small model learned."""


def video() -> Scene:
    """A ball that comes in at the left, and has not yet reached the middle in the end."""
    look = still("red", "ball", "green", "field", (0.0, 0.0)).look
    return Scene(look, "right", (-0.9, 0.05), 0.5, STEP * (VIDEO_FRAMES - 1))


def save_video(scene: Scene, path: Path) -> None:
    frames = world.render(scene, VIDEO_FRAMES, VIDEO_SIZE).mul(255).round().byte().permute(0, 2, 3, 1)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FPS, options={"crf": "20"})
        stream.width = stream.height = VIDEO_SIZE
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame.contiguous().numpy(), format="rgb24")))
        output.mux(stream.encode())


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    save_video(video(), FOLDER / f"{VIDEO}.mp4")
    for name, scene in EXAMPLES.items():
        pixels = world.render(scene, frames=1, size=SIZE)[0].mul(255).round().byte().permute(1, 2, 0)
        Image.fromarray(pixels.contiguous().numpy()).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
