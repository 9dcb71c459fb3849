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

from tools.authoring import (
    apps,
    batch_workflows,
    few_step_workflows,
    film_workflows,
    from_host,
    motion_workflows,
    pass_workflows,
    video_workflows,
)
from tools.authoring.graph_formats import Step, Workflow, api_format, interface_format
from tools.authoring.loading_steps import (
    CHAIN_NOTE,
    FILES_NOTE,
    KEYFRAMES_NOTE,
    SMALL_NOTE,
    checkpoint_step,
    small_checkpoint_step,
)
from tools.hosting.model_files import INTERPOLATOR, SMALL_CFG, SMALL_ENLARGED, SMALL_SIZE, UPSCALER
from tools.hosting.workflow_graph import TITLES

FOLDER = Path(__file__).resolve().parents[2] / "workflows"
BALL, RING, CROSS = (f"seine_{name}.png" for name in ("red_ball", "yellow_ring", "purple_cross"))
MOVING_BALL = "seine_moving_ball.mp4"
BALL_MOVES = "a red ball moves right over a green field"
RING_MOVES = "a red ring moves right over a green field"
RING_TO_CROSS = "a yellow ring over blue stripes changes into a purple cross over a pink field"
TRAVEL = "0: a red ball moves right over a green field\n15: a blue ball moves right over a green field"
BETWEEN = "more_keyframes.keyframe0"


def _clip(
    prompt: str, width: int, height: int, images: list[str], cfg: float = 8.0, resize_mode: str = "crop"
) -> Workflow:
    """Load, describe, sample, decode. images: files of Load Image.

    The first begins the clip, the last of several ends it.
    """
    steps = {
        "checkpoint": checkpoint_step(),
        "positive": Step(
            "CLIPTextEncode", (440, 60), (380, 150), {"clip": ("checkpoint", 1), "text": prompt}, "Prompt"
        ),
        "negative": Step(
            "CLIPTextEncode", (440, 260), (380, 110), {"clip": ("checkpoint", 1), "text": ""}, "Negative prompt"
        ),
        "clip": Step(
            "SEINEImageToVideo",
            (880, 60),
            (340, 520),
            {
                "positive": ("positive", 0),
                "negative": ("negative", 0),
                "vae": ("checkpoint", 2),
                "width": width,
                "height": height,
                "resize_mode": resize_mode,
                "batch_size": 1,
                "frames": 16,
                "keyframe_places": "",
            },
        ),
        "sample": Step(
            "SEINEKSampler",
            (1280, 60),
            (340, 570),  # with room for the preview
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
            (1280, 690),
            (340, 170),
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
        name, title = "first_image", "First image"
        if number:
            name, title = ("last_image", "Last image") if number == len(images) - 1 else (BETWEEN, "Image between")
        steps[f"image {number}"] = Step(
            "LoadImage",
            (440, 480 + 390 * number),
            (380, 340),
            {"image": file},
            title if len(images) > 1 else "Image",
        )
        steps["clip"].inputs[name] = (f"image {number}", 0)
    groups = [
        ("Model", -20, 0, 420, 270, "#3f789e"),
        ("Prompt", 420, 0, 420, 390, "#3f789e"),
        ("Clip", 860, 0, 380, 600, "#8A8"),
        ("Sampling", 1260, 0, 380, 880, "#a1309b"),
    ]
    if images:
        groups.append(("Images" if len(images) > 1 else "Image", 420, 420, 420, 30 + 390 * len(images), "#8A8"))
    return Workflow(steps, groups, [(FILES_NOTE, 0, 330, 380, 300)])


def _saved(
    workflow: Workflow, source: str, fps: float | tuple[str, int], prefix: str | tuple[str, int], x: int = 1690
) -> Workflow:
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
            "UpscaleModelLoader", (1690, 60), (340, 60), {"model_name": UPSCALER.name}, models=(UPSCALER.hint(),)
        ),
        "upscaled": Step(
            "ImageUpscaleWithModel", (1690, 180), (340, 60), {"upscale_model": ("upscaler", 0), "image": ("decode", 0)}
        ),
        "halved": Step(
            "ImageScaleBy",
            (1690, 300),
            (340, 90),
            {"image": ("upscaled", 0), "upscale_method": "area", "scale_by": 0.5},
        ),
        "interpolator": Step(
            "FrameInterpolationModelLoader",
            (1690, 450),
            (340, 60),
            {"model_name": INTERPOLATOR.name},
            models=(INTERPOLATOR.hint(),),
        ),
        "interpolated": Step(
            "FrameInterpolate",
            (1690, 570),
            (340, 90),
            {"interp_model": ("interpolator", 0), "images": ("halved", 0), "multiplier": 4},
        ),
    }
    workflow.groups.append(("Upscale and interpolate", 1670, 0, 380, 690, "#a1309b"))
    workflow.notes.append((CHAIN_NOTE, 1670, 740, 380, 230))
    return _saved(workflow, "interpolated", 32.0, "video/SEINE_transition", x=2100)


def _small_clip(images: list[str], prompt: str = BALL_MOVES) -> Workflow:
    """A clip by the model that the pack brings."""
    workflow = _clip(prompt, SMALL_SIZE, SMALL_SIZE, images, SMALL_CFG)
    workflow.steps["checkpoint"] = small_checkpoint_step()
    workflow.notes = [(SMALL_NOTE, 0, 330, 380, 330)]
    return workflow


def _saved_enlarged(workflow: Workflow, prefix: str, fps: float | tuple[str, int] = 8.0) -> Workflow:
    """`workflow` with its frames enlarged to be seen, and made into a video."""
    workflow.steps["enlarged"] = Step(
        "ImageScaleBy",
        (1690, 60),
        (340, 130),
        {"image": ("decode", 0), "upscale_method": "lanczos", "scale_by": float(SMALL_ENLARGED)},
    )
    workflow.groups.append(("Enlarge", 1670, 0, 380, 210, "#a1309b"))
    return _saved(workflow, "enlarged", fps, prefix, x=2100)


def _of_small_model() -> Workflow:
    """Text to video with the model that the pack brings."""
    return _saved_enlarged(_small_clip([]), "video/SEINE_small")


def _travelling(workflow: Workflow, prompts: str, frames: int) -> Workflow:
    """`workflow` with a prompt that changes along the clip."""
    inputs = {"clip": ("checkpoint", 1), "prompts": prompts, "frames": frames, "between": "blend"}
    workflow.steps["positive"] = Step("SEINEPromptTravel", (440, 60), (380, 180), inputs, "Prompts")
    workflow.steps["negative"].at = (440, 290)
    workflow.groups[1] = ("Prompt", 420, 0, 420, 410, "#3f789e")
    return workflow


def _with_keyframes(workflow: Workflow, places: str) -> Workflow:
    """`workflow` with the image between its ends at a frame of its own."""
    workflow.steps["clip"].inputs["keyframe_places"] = places
    workflow.notes.append((KEYFRAMES_NOTE, 860, 660, 380, 250))
    return workflow


def workflows() -> dict[str, Workflow]:
    """All of them, by the name of the API's file."""
    return {
        "try_the_small_model": _of_small_model(),
        "image_to_video": _saved(
            # Nothing of a single picture need be cut away.
            _clip(BALL_MOVES, 512, 320, [BALL], resize_mode="fit clip to image"),
            "decode",
            8.0,
            "video/SEINE",
        ),
        "transition": _saved(_clip(RING_TO_CROSS, 512, 512, [RING, CROSS]), "decode", 8.0, "video/SEINE_transition"),
        "keyframes": _saved(
            _with_keyframes(_clip(RING_TO_CROSS, 512, 320, [BALL, RING, CROSS]), "7"),
            "decode",
            8.0,
            "video/SEINE_keyframes",
        ),
        "text_to_video": _saved(
            _clip("a sailing boat on a lake at sunset", 512, 320, []), "decode", 8.0, "video/SEINE_text"
        ),
        "prompt_travel": _travelling(_of_small_model(), TRAVEL, 16),
        "extend_video": film_workflows.extended(
            _clip(BALL_MOVES, 560, 240, [BALL]), "after", 48, "video/SEINE_extended"
        ),
        "extend_file": film_workflows.extended_file(MOVING_BALL, BALL_MOVES),
        "loop": film_workflows.extended(_clip(BALL_MOVES, 560, 240, [BALL]), "loop", 10, "video/SEINE_loop"),
        "story": film_workflows.story([BALL, RING, CROSS], 512, 320),
        "stop_and_go_on": pass_workflows.stopped(_clip(BALL_MOVES, 512, 320, [BALL]), 12, "video/SEINE_stopped"),
        "second_pass": _saved(
            pass_workflows.second_pass(_clip(BALL_MOVES, 512, 288, [BALL]), 768, 432, 2.5),
            "enlarged",
            8.0,
            "video/SEINE_second_pass",
            x=2910,
        ),
        "transition_upscale_interpolate": _chained(_clip(RING_TO_CROSS, 512, 512, [RING, CROSS])),
        "batch_transitions": _saved(batch_workflows.transitions(_clip("", 512, 512, [])), "decode", 8.0, ("name", 0)),
        "four_steps": _saved_enlarged(few_step_workflows.four_steps(_small_clip([BALL])), "video/SEINE_four_steps"),
        "interactive": few_step_workflows.interactive(_small_clip([BALL]), "video/SEINE_interactive"),
        "motion_and_camera": _saved_enlarged(
            motion_workflows.motion_and_camera(_small_clip([BALL])), "video/SEINE_motion"
        ),
        "video_to_video": _saved_enlarged(
            video_workflows.sampled_anew(_small_clip([], RING_MOVES), MOVING_BALL, SMALL_SIZE, 0.65),
            "video/SEINE_video",
            ("parts", 2),
        ),
    }


def files(object_info: dict[str, Any]) -> dict[Path, str]:
    """Path below workflows/ and content of every file."""
    result = apps.files(workflows(), object_info)
    for name, workflow in workflows().items():
        result[Path(f"{TITLES[name]}.json")] = json.dumps(interface_format(workflow, object_info), indent=1) + "\n"
        result[Path("api") / f"{name}.json"] = json.dumps(api_format(workflow), indent=1) + "\n"
    return result


if __name__ == "__main__":
    sys.exit(from_host.write(FOLDER, files, Path(__file__), __doc__))
