"""Writes workflows/*.json (for the interface) and workflows/api/*.json: `python tools/authoring/build_workflows.py`.

Widget order and slot types come from the running modern host, so that a saved workflow is what the interface itself
would have saved. The sizes and places below are in the canvas's pixels.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.authoring import film_workflows, from_host
from tools.authoring.graph_formats import Step, Workflow, api_format, interface_format
from tools.authoring.loading_steps import CHAIN_NOTE, FILES_NOTE, SMALL_NOTE, checkpoint_step, small_checkpoint_step
from tools.hosting.model_files import INTERPOLATOR, SMALL_CFG, SMALL_ENLARGED, SMALL_SIZE, UPSCALER

FOLDER = Path(__file__).resolve().parents[2] / "workflows"
TRAVEL = "0: a red ball moves right over a green field\n15: a blue ball moves right over a green field"


def _clip(
    mode: str, prompt: str, width: int, height: int, images: list[str], frames: int = 16, cfg: float = 8.0
) -> Workflow:
    """Load, describe, choose frames, sample, decode; `images` are the files of Load Image."""
    steps = {
        "checkpoint": checkpoint_step(),
        "positive": Step(
            "CLIPTextEncode", (440, 60), (380, 150), {"clip": ("checkpoint", 1), "text": prompt}, "Prompt"
        ),
        "negative": Step(
            "CLIPTextEncode", (440, 260), (380, 110), {"clip": ("checkpoint", 1), "text": ""}, "Negative prompt"
        ),
        "mask": Step(
            "SEINEMaskBuilder",
            (440, 480),
            (380, 270),
            {"mode": mode, "count": 1, "indices": "0, 15", "frames": frames, "width": width, "height": height},
        ),
        "clip": Step(
            "SEINEImageToVideo",
            (900, 60),
            (320, 270),
            {
                "positive": ("positive", 0),
                "negative": ("negative", 0),
                "vae": ("checkpoint", 2),
                "mask": ("mask", 0),
                "width": width,
                "height": height,
                "resize_mode": "stretch",
                "batch_size": 1,
            },
        ),
        "sample": Step(
            "SEINEKSampler",
            (1300, 60),
            (320, 520),  # with room for the preview
            {
                "model": ("checkpoint", 0),
                "positive": ("clip", 0),
                "negative": ("clip", 1),
                "latent_image": ("clip", 2),
                "seed": 1,
                "steps": 25,
                "cfg": cfg,
                "sampler_name": "ddim",
                "scheduler": "seine",
                "denoise": 1.0,
            },
        ),
        "decode": Step(
            "SEINEVAEDecode",
            (1300, 640),
            (320, 160),
            {
                "samples": ("sample", 0),
                "vae": ("checkpoint", 2),
                "frames_at_a_time": 8,
                "tiled": False,
                "tile_size": 512,
            },
        ),
    }
    for number, file in enumerate(images):
        steps[f"image {number}"] = Step(
            "LoadImage",
            (0, 480 + 380 * number),
            (380, 330),
            {"image": file},
            ["First frame", "Last frame"][number] if len(images) > 1 else "Image",
        )
    if len(images) == 1:
        steps["clip"].inputs["keyframes"] = ("image 0", 0)
    elif images:
        steps["keyframes"] = Step(
            "BatchImagesNode",
            (440, 800),
            (380, 80),
            {"images.image0": ("image 0", 0), "images.image1": ("image 1", 0)},
            "Keyframes",
        )
        steps["clip"].inputs["keyframes"] = ("keyframes", 0)
    groups = [
        ("Model", -20, 0, 420, 210, "#3f789e"),
        ("Prompt", 420, 0, 420, 390, "#3f789e"),
        ("Which frames are given", 420, 420, 420, 490 if len(images) > 1 else 350, "#8A8"),
        ("Clip", 880, 0, 360, 350, "#8A8"),
        ("Sampling", 1280, 0, 360, 820, "#a1309b"),
    ]
    if images:
        groups.append(("Keyframes" if len(images) > 1 else "Image", -20, 420, 420, 10 + 390 * len(images) + 30, "#8A8"))
    return Workflow(steps, groups, [(FILES_NOTE, 900, 420, 320, 330)])


def _saved(workflow: Workflow, source: str, fps: float, prefix: str, x: int = 1700) -> Workflow:
    """`workflow` with the IMAGE of step `source` made into a video."""
    workflow.steps["video"] = Step(
        "CreateVideo", (x, 60), (340, 110), {"images": (source, 0), "fps": fps, "bit_depth": 8}
    )
    workflow.steps["save"] = Step(
        "SaveVideo",
        (x, 230),
        (340, 410),
        {"video": ("video", 0), "filename_prefix": prefix, "format": "auto", "format.codec": "auto", "codec": "auto"},
    )
    workflow.groups.append(("Video", x - 20, 0, 380, 660, "#b58b2a"))
    return workflow


def _chained(workflow: Workflow) -> Workflow:
    """`workflow` with upscaling and frame interpolation between decoding and video."""
    workflow.steps |= {
        "upscaler": Step(
            "UpscaleModelLoader", (1700, 60), (340, 60), {"model_name": UPSCALER.name}, models=(UPSCALER.hint(),)
        ),
        "upscaled": Step(
            "ImageUpscaleWithModel", (1700, 180), (340, 60), {"upscale_model": ("upscaler", 0), "image": ("decode", 0)}
        ),
        "halved": Step(
            "ImageScaleBy",
            (1700, 300),
            (340, 90),
            {"image": ("upscaled", 0), "upscale_method": "area", "scale_by": 0.5},
        ),
        "interpolator": Step(
            "FrameInterpolationModelLoader",
            (1700, 450),
            (340, 60),
            {"model_name": INTERPOLATOR.name},
            models=(INTERPOLATOR.hint(),),
        ),
        "interpolated": Step(
            "FrameInterpolate",
            (1700, 570),
            (340, 90),
            {"interp_model": ("interpolator", 0), "images": ("halved", 0), "multiplier": 4},
        ),
    }
    workflow.groups.append(("Upscale and interpolate", 1680, 0, 380, 690, "#a1309b"))
    workflow.notes.append((CHAIN_NOTE, 1680, 740, 380, 230))
    return _saved(workflow, "interpolated", 32.0, "video/SEINE_transition", x=2100)


def _of_small_model() -> Workflow:
    """Text to video with the model that the pack brings, its frames enlarged to be seen."""
    workflow = _clip(
        "text to video", "a red ball moves right over a green field", SMALL_SIZE, SMALL_SIZE, [], 16, SMALL_CFG
    )
    workflow.steps["checkpoint"] = small_checkpoint_step()
    workflow.steps["enlarged"] = Step(
        "ImageScaleBy",
        (1700, 60),
        (340, 130),
        {"image": ("decode", 0), "upscale_method": "lanczos", "scale_by": float(SMALL_ENLARGED)},
    )
    workflow.groups.append(("Enlarge", 1680, 0, 380, 210, "#a1309b"))
    workflow.notes = [(SMALL_NOTE, 900, 420, 320, 330)]
    return _saved(workflow, "enlarged", 8.0, "video/SEINE_small", x=2100)


def _travelling(workflow: Workflow, prompts: str, frames: int) -> Workflow:
    """`workflow` with a prompt that changes along the clip."""
    inputs = {"clip": ("checkpoint", 1), "prompts": prompts, "frames": frames, "between": "blend"}
    workflow.steps["positive"] = Step("SEINEPromptTravel", (440, 60), (380, 180), inputs, "Prompts")
    workflow.steps["negative"].at = (440, 290)
    workflow.groups[1] = ("Prompt", 420, 0, 420, 410, "#3f789e")
    return workflow


def workflows() -> dict[str, Workflow]:
    """All of them by file name."""
    transition = "smooth transition, from a flower to the stars"
    return {
        "image_to_video": _saved(
            _clip("first frames", "waves roll onto the beach, slow motion", 560, 240, ["example.png"]),
            *("decode", 8.0, "video/SEINE"),
        ),
        "transition": _saved(
            _clip("first and last frames", transition, 512, 512, ["example.png", "example.png"]),
            *("decode", 8.0, "video/SEINE_transition"),
        ),
        "text_to_video": _saved(
            _clip("text to video", "a sailing boat on a lake at sunset", 512, 320, []),
            *("decode", 8.0, "video/SEINE_text"),
        ),
        "transition_upscale_interpolate": _chained(
            _clip("first and last frames", transition, 512, 512, ["example.png", "example.png"])
        ),
        "try_the_small_model": _of_small_model(),
        "prompt_travel": _travelling(_of_small_model(), TRAVEL, 16),
        "extend_video": film_workflows.extended(
            _clip("first frames", "waves roll onto the beach, slow motion", 560, 240, ["example.png"]),
            *("after", 48, "video/SEINE_extended"),
        ),
        "loop": film_workflows.extended(
            _clip("first frames", "waves roll onto the beach, slow motion", 560, 240, ["example.png"]),
            *("loop", 10, "video/SEINE_loop"),
        ),
        "story": film_workflows.story(["example.png"] * 3, 512, 320),
    }


def files(object_info: dict[str, Any]) -> dict[Path, str]:
    """Path below workflows/ and content of every file."""
    result = {}
    for name, workflow in workflows().items():
        result[Path(f"{name}.json")] = json.dumps(interface_format(workflow, object_info), indent=1) + "\n"
        result[Path("api") / f"{name}.json"] = json.dumps(api_format(workflow), indent=1) + "\n"
    return result


if __name__ == "__main__":
    sys.exit(from_host.write(FOLDER, files, Path(__file__), __doc__))
