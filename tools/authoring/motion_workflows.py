"""The workflow of more motion and a moving camera."""

from __future__ import annotations

from tools.authoring.graph_formats import Step, Workflow

MOTION_NOTE = """### How much moves, and where the camera goes
**SEINE Motion**: at *motion* 0 the clip is as without it, at 1 things move about half as far again.

**SEINE Camera** moves over the image: *pan* to the right, *tilt* up, *zoom* in, and the other way below 0. \
While it leads, for the *strength* of the sampling, what is in the picture moves with it; with less, things move \
more by themselves.

Ctrl+B takes either out. Both go with every SEINE model, sampler and number of frames; the camera needs an image."""


def motion_and_camera(clip: Workflow) -> Workflow:
    """`clip` of a picture with a dial for its motion, and a camera."""
    prompts = {"positive": ("clip", 0), "negative": ("clip", 1), "vae": ("checkpoint", 2)}
    way = {"pan": 0.0, "tilt": 0.4, "zoom": 0.0, "strength": 0.6}
    dials = {"motion": 1.0, "guidance": 2.0, "end_percent": 0.6}
    clip.steps["motion"] = Step("SEINEMotion", (880, 680), (340, 130), {"model": ("checkpoint", 0), **dials})
    clip.steps["camera"] = Step("SEINECamera", (880, 870), (340, 200), prompts | way)
    clip.steps["sample"].inputs |= {"model": ("motion", 0), "positive": ("camera", 0), "negative": ("camera", 1)}
    clip.groups.append(("Motion and camera", 860, 620, 380, 470, "#b58b2a"))
    clip.notes.append((MOTION_NOTE, 440, 880, 380, 330))
    return clip
