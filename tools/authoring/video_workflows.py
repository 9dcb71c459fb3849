"""The workflow that samples a video anew by another prompt."""

from __future__ import annotations

from tools.authoring.graph_formats import Step, Workflow

FRAMES = 16

ANEW_NOTE = """### A video by another prompt
Its first 16 frames are encoded, get as much noise as **denoise** says, and are sampled on from there. At 0.5 little \
changes, at 0.8 little but the motion stays, at 1 nothing. Here 0.65 makes a ring of the ball, where the ball was.

The clip has as many frames, and is as large, as what leaves *Upscale Image*. Of a video with 24 frames a second, 16 \
last less than one.

Another video: **choose file to upload** in *Load Video*. For what the small model does not know take the full SEINE, \
512x320 in *Upscale Image* and cfg 8."""


def sampled_anew(clip: Workflow, file: str, side: int, denoise: float) -> Workflow:
    """`clip` (load, describe, sample, decode) from the frames of a video, cut to `side` pixels."""
    del clip.steps["clip"]  # nothing is given but the latents
    scaled = {"image": ("cut", 0), "upscale_method": "area", "width": side, "height": side, "crop": "center"}
    clip.steps |= {
        "file": Step("LoadVideo", (440, 480), (380, 440), {"file": file}),
        "parts": Step("GetVideoComponents", (880, 60), (340, 90), {"video": ("file", 0)}),
        "cut": Step(
            "ImageFromBatch", (880, 210), (340, 90), {"image": ("parts", 0), "batch_index": 0, "length": FRAMES}
        ),
        "scaled": Step("ImageScale", (880, 360), (340, 170), scaled),
        "encoded": Step("VAEEncode", (880, 590), (340, 60), {"pixels": ("scaled", 0), "vae": ("checkpoint", 2)}),
    }
    prompts = {"positive": ("positive", 0), "negative": ("negative", 0)}
    clip.steps["sample"].inputs |= prompts | {"latent_image": ("encoded", 0), "denoise": denoise}
    clip.groups[2:3] = [
        ("Your video", 420, 420, 420, 520, "#8A8"),
        ("Its frames", 860, 0, 380, 670, "#8A8"),
    ]
    clip.notes = [(ANEW_NOTE, 0, 330, 380, 430)]
    return clip
