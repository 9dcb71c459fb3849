"""The step that loads the files a workflow names, and the notes that say where they come from."""

from __future__ import annotations

from tools.authoring.graph_formats import Step
from tools.hosting.model_files import BASE, INTERPOLATOR, SEINE, SMALL_MODEL, UPSCALER

SMALL_NOTE = """### Nothing to download
The pack brings this small model, so that the graph can be tried at once, without a GPU. It knows coloured shapes only:

- a **red, yellow, green, blue, purple** or **white**
- **ball, triangle, ring** or **cross**
- **moves left, right, up, down; grows; shrinks; spins; turns blue; stays still**
- over a **green, blue, brown, grey** or **pink field**, or over **stripes** or **tiles** of these colours

For anything else take the full model, 512x320 and cfg 8."""

FILES_NOTE = f"""### Files
- **SEINE**: {SEINE.link()}
- **Text encoder and VAE**, of Stable Diffusion 1.5 (or 1.4): {BASE.link()}

The pack's *tools/convert_checkpoint.py* makes one smaller file of both: choose it as *model_name*, and *bundled* as \
*base_name*."""

CHAIN_NOTE = f"""### Two more files
- **Upscaling**: {UPSCALER.link()}. It enlarges 4 times, of which half is kept.
- **Interpolation**: {INTERPOLATOR.link()}

Three in-between frames make 8 frames per second 32."""

KEYFRAMES_NOTE = """### Any frames given
First and last image are the ends; **keyframe_places** says which frame the one between is: 7 of the 16, counted from \
0. Every wire into **more_keyframes** makes room for another; empty places spread them evenly.

SEINE makes what lies between."""


def small_checkpoint_step() -> Step:
    """Load SEINE Checkpoint with the model that the pack brings."""
    inputs = {"model_name": SMALL_MODEL, "base_name": "bundled", "weight_dtype": "default"}
    return Step("SEINECheckpointLoader", (0, 60), (380, 190), inputs)


def checkpoint_step() -> Step:
    """Load SEINE Checkpoint with the published files."""
    inputs = {"model_name": SEINE.name, "base_name": BASE.name, "weight_dtype": "default"}
    return Step("SEINECheckpointLoader", (0, 60), (380, 190), inputs, models=(SEINE.hint(), BASE.hint()))
