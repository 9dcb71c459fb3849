"""The workflows that sample a clip in two goes: stopped half-way to be looked at, and once more at a larger size."""

from __future__ import annotations

from tools.authoring.graph_formats import Shared, Step, Workflow

SETTINGS = ("seed", "steps", "cfg", "sampler_name", "scheduler")
"""What all nodes are given that sample."""
PITCH = 146
"""From one widget that feeds two steps to the one below it, in pixels of the canvas."""

STOP_NOTE = """### Look half-way, then go on
*Split Sigmas* cuts the steps in two, here after 12 of 25. What the clip will be is decoded and saved there.

**To stop at the preview**, select *Save the preview* and press **▶** in the bar above it: only what leads there runs. \
You like it: press **Run**, and it goes on from there, nothing is computed twice. You don't: change the seed or the \
prompt.

**Run** at once makes both, the preview first.

The clip is the one that an uninterrupted run makes. *seine_ddpm* and other samplers that add noise in each step make \
another one, as good."""

SECOND_NOTE = """### A second pass
The first clip's latent is enlarged, and sampled once more from half of its noise on: motion stays, detail is made for \
the new size. The images are encoded once more at that size. Lower **denoise** in the second sampler changes less.

768x432 are then enlarged 2.5 times: 1920x1080.

Until the first clip is what you want, bypass the groups **Larger** and **Second pass** (select, Ctrl+B)."""


def settings_of_both(workflow: Workflow, steps: tuple[str, str], x: int, y: int) -> None:
    """One widget for each setting of two steps that sample, one below the other, in a group of their own."""
    for number, name in enumerate(SETTINGS):
        workflow.shared.append(Shared(name, steps, (x, y + PITCH * number), (340, PITCH - 40), f"{name} (both)"))
    workflow.groups.append(("Settings of both", x - 20, y - 60, 380, 60 + PITCH * len(SETTINGS), "#a1309b"))


def second_pass(clip: Workflow, width: int, height: int, enlarged: float) -> Workflow:
    """`clip` (load, describe, sample, decode) sampled again at this size before it is decoded, and then enlarged."""
    again = dict(clip.steps["clip"].inputs, width=width, height=height)
    sampled = dict(clip.steps["sample"].inputs, positive=("clip 2", 0), negative=("clip 2", 1), denoise=0.5)
    clip.steps |= {
        "larger": Step(
            "LatentUpscale",
            (1690, 60),
            (340, 140),
            {
                "samples": ("sample", 0),
                "upscale_method": "bicubic",
                "width": width,
                "height": height,
                "crop": "disabled",
            },
        ),
        "clip 2": Step("SEINEImageToVideo", (1690, 260), (340, 520), again, "The same, larger"),
        "sample 2": Step(
            "SEINEKSampler", (2090, 60), (340, 570), sampled | {"latent_image": ("larger", 0)}, "Second pass"
        ),
        "decode": Step(
            "SEINEVAEDecode",
            (2500, 60),
            (340, 170),
            clip.steps["decode"].inputs | {"samples": ("sample 2", 0), "tiled": True},
        ),
        "enlarged": Step(
            "ImageScaleBy",
            (2500, 290),
            (340, 130),
            {"image": ("decode", 0), "upscale_method": "lanczos", "scale_by": enlarged},
        ),
    }
    clip.shared = [
        Shared(
            name, ("larger", "clip 2"), (1280, 760 + PITCH * number), (340, PITCH - 40), f"{name} of the second pass"
        )
        for number, name in enumerate(("width", "height"))
    ]
    clip.shared.append(Shared("frames", ("clip", "clip 2"), (440, 920), (380, PITCH - 40), "frames (both)"))
    clip.groups = [group for group in clip.groups if group[0] != "Sampling"] + [
        ("Length", 420, 860, 420, 60 + PITCH, "#8A8"),
        ("First pass", 1260, 0, 380, 650, "#a1309b"),
        ("Larger", 1670, 0, 380, 800, "#8A8"),
        ("Size of the second pass", 1260, 700, 380, 60 + 2 * PITCH, "#8A8"),
        ("Second pass", 2070, 0, 380, 650, "#a1309b"),
        ("Decode and enlarge", 2480, 0, 380, 440, "#b58b2a"),
    ]
    settings_of_both(clip, ("sample", "sample 2"), 880, 690)
    clip.notes.append((SECOND_NOTE, 2070, 700, 380, 330))
    return clip


def stopped(clip: Workflow, after: int, prefix: str) -> Workflow:
    """`clip` (load, describe, sample, decode) sampled in two parts, with a video of each."""
    settings = clip.steps.pop("sample").inputs
    del clip.steps["decode"]
    guided = {name: settings[name] for name in ("model", "positive", "negative", "cfg")}
    clip.steps |= {
        "noise": Step("RandomNoise", (1280, 60), (340, 90), {"noise_seed": settings["seed"]}),
        "guider": Step("CFGGuider", (1280, 210), (340, 110), guided),
        "sampler": Step("KSamplerSelect", (1280, 380), (340, 60), {"sampler_name": settings["sampler_name"]}),
        "sigmas": Step(
            "SEINEScheduler",
            (1280, 500),
            (340, 90),
            {"model": settings["model"], "steps": settings["steps"], "denoise": settings["denoise"]},
        ),
        "split": Step("SplitSigmas", (1280, 650), (340, 80), {"sigmas": ("sigmas", 0), "step": after}),
        "half": _part(1690, ("noise", 0), 0, settings["latent_image"], "First steps"),
        "half decoded": _decoded(1690, ("half", 1)),
        "preview": _saved(1690, "half decoded", f"{prefix}_preview", "Save the preview"),
        "no noise": Step("DisableNoise", (2100, 60), (340, 40)),
        "rest": _part(2100, ("no noise", 0), 1, ("half", 0), "The other steps"),
        "decode": _decoded(2100, ("rest", 0)),
        "save": _saved(2100, "decode", prefix, "Save the clip"),
    }
    clip.groups = [group for group in clip.groups if group[0] != "Sampling"] + [
        ("Settings", 1260, 0, 380, 750, "#a1309b"),
        ("Preview", 1670, 0, 380, 1170, "#b58b2a"),
        ("Go on", 2080, 0, 380, 1170, "#a1309b"),
    ]
    clip.notes.append((STOP_NOTE, 1260, 800, 380, 340))
    return clip


def _part(x: int, noise: tuple[str, int], sigmas: int, latent: tuple[str, int], title: str) -> Step:
    inputs = {"noise": noise, "guider": ("guider", 0), "sampler": ("sampler", 0), "sigmas": ("split", sigmas)}
    return Step("SamplerCustomAdvanced", (x, 160), (340, 330), inputs | {"latent_image": latent}, title)


def _decoded(x: int, samples: tuple[str, int]) -> Step:
    inputs = {"samples": samples, "vae": ("checkpoint", 2), "fps": 8.0, "frames_at_a_time": 8}
    return Step("SEINEDecodeToVideo", (x, 550), (340, 130), inputs)


def _saved(x: int, video: str, prefix: str, title: str) -> Step:
    inputs = {"video": (video, 0), "filename_prefix": prefix, "format": "auto", "format.codec": "auto", "codec": "auto"}
    return Step("SaveVideo", (x, 740), (340, 410), inputs, title)
