"""The workflows of few steps: a clip in four, and one that is made anew with every change."""

from __future__ import annotations

from tools.authoring.graph_formats import Step, Workflow
from tools.hosting.model_files import SMALL_LORA

FEW = {"steps": 4, "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple"}
"""How a distilled model is sampled (tools/train.py distill)."""

FOUR_NOTE = """### Four predictions instead of fifty
*euler* and *simple* stop at the timesteps 999, 749, 499 and 249. At **cfg 1** each step is one prediction, and no \
negative prompt is read: none is there.

**The small model** has a LoRA for it, which the pack brings. With it 2 steps do as well, and even 1.

**The full SEINE** wants a LoRA of its own, and nobody has published one. The pack's *tools/train.py distill* makes it \
of the checkpoint and clips of yours (docs/commands.md). Put it into **models/loras**, press **R**, and choose it in \
*Distilled LoRA*.

**Text to video**: Ctrl+B on *Image*."""

CHANGE_NOTE = """### Every change makes a clip
1. Click the arrow beside **Run** and choose **Run (On Change)**. It holds for every workflow, until you choose *Run* \
again or load the page anew; no workflow can set it by itself.
2. Write another word, such as **blue**, **cross** or **grows**, and click beside the box: the new clip plays.
3. **With a picture**: select *Image*, which is bypassed, and press Ctrl+B. Then choose another picture.

The seed stays, so that nothing changes but what you change. What you change while a clip is made comes next.

Every clip is kept, in output/video: a few kilobytes each.

*SEINE 1 Try it now* says which words the small model knows, *SEINE 15 Four steps* what a full SEINE needs for four \
steps."""


def _few(clip: Workflow) -> Workflow:
    """`clip` (load, describe, sample, decode) in few steps without guidance, and without what nobody reads then."""
    del clip.steps["negative"]
    clip.steps["clip"].inputs["negative"] = ("positive", 0)
    clip.steps["sample"].inputs |= FEW
    return clip


def four_steps(clip: Workflow) -> Workflow:
    """`clip` in four steps, by a distilled LoRA."""
    clip = _few(clip)
    inputs = {"model": ("checkpoint", 0), "lora_name": SMALL_LORA, "strength_model": 1.0}
    clip.steps["lora"] = Step("LoraLoaderModelOnly", (0, 330), (380, 110), inputs, "Distilled LoRA")
    clip.steps["sample"].inputs["model"] = ("lora", 0)
    clip.groups[:2] = [("Model", -20, 0, 420, 480, "#3f789e"), ("Prompt", 420, 0, 420, 240, "#3f789e")]
    clip.notes = [(FOUR_NOTE, 0, 530, 380, 540)]
    return clip


def interactive(clip: Workflow, prefix: str) -> Workflow:
    """`clip` of a picture: what is changed and what plays are beside each other at the left.

    It is saved as what plays in a node by itself and at once: neither MP4 nor GIF do so in classic nodes.
    """
    clip = _few(clip)
    for name, at in {
        "positive": (0, 60),
        "image 0": (0, 310),
        "checkpoint": (1290, 60),
        "clip": (1730, 60),
        "sample": (2130, 60),
        "decode": (1290, 340),
    }.items():
        clip.steps[name].at = at
    clip.steps["image 0"].bypassed = True
    clip.steps["sample"].keeps_seed = True
    saved = {"filename_prefix": prefix, "fps": 8.0, "lossless": True, "quality": 80, "method": "fastest"}
    clip.steps["save"] = Step("SaveAnimatedWEBP", (440, 60), (380, 590), {"images": ("decode", 0), **saved}, "Clip")
    clip.groups = [
        ("Prompt", -20, 0, 420, 230, "#3f789e"),
        ("Image", -20, 250, 420, 420, "#8A8"),
        ("Video", 420, 0, 420, 670, "#b58b2a"),
        ("Model", 1270, 0, 420, 270, "#3f789e"),
        ("Decode", 1270, 280, 420, 250, "#b58b2a"),
        ("Clip", 1710, 0, 380, 600, "#8A8"),
        ("Sampling", 2110, 0, 380, 650, "#a1309b"),
    ]
    clip.notes = [(CHANGE_NOTE, 860, 60, 390, 590)]
    return clip
