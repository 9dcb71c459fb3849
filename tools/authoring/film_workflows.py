"""The workflows of long films: a clip continued, a clip closed to a loop, a story of several images."""

from __future__ import annotations

from typing import Any

from tools.authoring.graph_formats import Step, Workflow
from tools.authoring.loading_steps import FILES_NOTE, checkpoint_step
from tools.authoring.pass_workflows import settings_of_both

STORY = """shot 2s: a red ball moves right over a green field
transition 1.5s: a red ball over a green field changes into a yellow ring over blue stripes
shot 2s: a yellow ring grows over blue stripes
cut
shot 2s seed 7: a purple cross spins over a pink field"""

STORY_NOTE = """### The story
One line per segment, shots and transitions in turn:

**shot 2s: what it shows** begins with the next image,
**transition 12: what happens** leads from the end of one shot to the start of the next.

A line **cut** instead of a transition cuts hard. Lengths are in frames, or in seconds with an *s*. \
**seed 7** gives a segment a seed of its own: change it, and that segment is made anew, with what joins it. End with a \
transition, and the film leads back into its first shot.

After a change only the segments that depend on it are made again; a cancelled film goes on where it was."""

EXTEND_NOTE = """### Continue any video
Here the clip comes from the sampler, as a latent: nothing is lost on the way. For a video file there is *SEINE Extend \
Video File*.

**direction** also says what came before, fills the gap to a second clip, or closes the clip to a loop."""

FILE_NOTE = """### Your own video
Choose it in *Load Video*, and say in the prompt what it shows and goes on to show. Only its last frames are decoded; \
the rest is copied as it is, with its sound.

**frames** have the frame rate of the video: of most, 26 are about a second. **direction** also says what came before, \
or leads back to the start.

**width** and **height** say how many pixels new frames are made at. They get the size of the video in the end."""

LOOP_NOTE = """### A loop
The film ends as it began: between its last frame and its first, **frames** lead back, seeing both.

Any clip closes so: wire its latent into **latent**, or its frames into **images**."""


def settings(frames_per_window: int = 16, overlap: int = 3) -> dict[str, Any]:
    """What the film nodes sample with."""
    return {
        "seed": 1,
        "steps": 25,
        "cfg": 8.0,
        "sampler_name": "ddim",
        "scheduler": "seine",
        "window": frames_per_window,
        "overlap": overlap,
    }


def extended(clip: Workflow, direction: str, frames: int, prefix: str) -> Workflow:
    """`clip` (load, describe, sample) continued, and decoded while it is written."""
    del clip.steps["decode"]
    clip.steps["film"] = Step(
        "SEINEExtendVideo",
        (1690, 60),
        (340, 560),  # with room for the preview
        {
            "model": ("checkpoint", 0),
            "positive": ("positive", 0),
            "negative": ("negative", 0),
            "vae": ("checkpoint", 2),
            "direction": direction,
            "frames": frames,
            **settings(),
            "latent": ("sample", 0),
        },
    )
    clip.groups = [group for group in clip.groups if group[0] != "Sampling"]
    clip.groups += [
        ("Sampling", 1260, 0, 380, 650, "#a1309b"),
        ("Loop" if direction == "loop" else "Extend", 1670, 0, 380, 640, "#a1309b"),
    ]
    settings_of_both(clip, ("sample", "film"), 880, 690)
    clip.notes.append((LOOP_NOTE if direction == "loop" else EXTEND_NOTE, 1670, 690, 380, 250))
    return written(clip, prefix, 2120)


def extended_file(file: str, prompt: str) -> Workflow:
    """Load a video, continue it, save it."""
    steps = {"checkpoint": checkpoint_step()}
    for name, title, top, text in (("positive", "Prompt", 60, prompt), ("negative", "Negative prompt", 260, "")):
        inputs = {"clip": ("checkpoint", 1), "text": text}
        steps[name] = Step("CLIPTextEncode", (440, top), (380, 150 if text else 110), inputs, title)
    steps["file"] = Step("LoadVideo", (440, 480), (380, 440), {"file": file})
    steps["film"] = Step(
        "SEINEExtendVideoFile",
        (880, 60),
        (340, 640),  # with room for the preview
        {
            "model": ("checkpoint", 0),
            "positive": ("positive", 0),
            "negative": ("negative", 0),
            "vae": ("checkpoint", 2),
            "video": ("file", 0),
            "direction": "after",
            "frames": 13,
            "width": 512,
            "height": 320,
            **settings(),
        },
    )
    steps["save"] = _save_step(("film", 0), "video/SEINE_longer", (1280, 60))
    groups = [
        ("Model", -20, 0, 420, 270, "#3f789e"),
        ("Prompt", 420, 0, 420, 390, "#3f789e"),
        ("Your video", 420, 420, 420, 520, "#8A8"),
        ("Extend", 860, 0, 380, 720, "#a1309b"),
        ("Video", 1260, 0, 380, 490, "#b58b2a"),
    ]
    return Workflow(steps, groups, [(FILES_NOTE, 0, 330, 380, 330), (FILE_NOTE, 0, 700, 380, 330)])


def story(images: list[str], width: int, height: int) -> Workflow:
    """Load, tell, write."""
    steps = {"checkpoint": checkpoint_step()}
    for number, file in enumerate(images):
        title = f"Image of shot {number + 1}"
        steps[f"image {number}"] = Step("LoadImage", (440, 60 + 390 * number), (380, 340), {"image": file}, title)
    steps["film"] = Step(
        "SEINEStory",
        (880, 60),
        (460, 860),  # with room for the preview
        {
            "model": ("checkpoint", 0),
            "clip": ("checkpoint", 1),
            "vae": ("checkpoint", 2),
            **{f"shot_images.image{number}": (f"image {number}", 0) for number in range(len(images))},
            "story": STORY,
            "negative_prompt": "",
            "fps": 8.0,
            "width": width,
            "height": height,
            "resize_mode": "crop",
            **settings(),
        },
    )
    groups = [
        ("Model", -20, 0, 420, 270, "#3f789e"),
        ("Images", 420, 0, 420, 30 + 390 * len(images), "#8A8"),
        ("Story", 860, 0, 500, 940, "#a1309b"),
    ]
    notes = [(FILES_NOTE, 0, 330, 380, 300), (STORY_NOTE, 0, 680, 380, 400)]
    return written(Workflow(steps, groups, notes), "video/SEINE_story", 1420, ("film", 1))


def written(workflow: Workflow, prefix: str, x: int, fps: float | tuple[str, int] = 8.0) -> Workflow:
    """`workflow` with the LATENT of its step "film" written as a video."""
    workflow.steps["decode"] = Step(
        "SEINEDecodeToVideo",
        (x, 60),
        (340, 130),
        {"samples": ("film", 0), "vae": ("checkpoint", 2), "fps": fps, "frames_at_a_time": 8},
    )
    workflow.steps["save"] = _save_step(("decode", 0), prefix, (x, 250))
    workflow.groups.append(("Video", x - 20, 0, 380, 680, "#b58b2a"))
    return workflow


def _save_step(video: tuple[str, int], prefix: str, at: tuple[int, int]) -> Step:
    inputs = {"video": video, "filename_prefix": prefix, "format": "auto", "format.codec": "auto", "codec": "auto"}
    return Step("SaveVideo", at, (340, 410), inputs)
