"""Whether the camera moves as SEINE Camera is asked to, on held-out scenes: `python benchmarks/camera.py`.

Clips are made by the pack's nodes in a real ComfyUI, as by small_model.py, with prompts that say nothing of motion. The
camera's motion is measured on the ground, see camera.py in tools/training/small_model. Prints the table that
docs/motion.md records.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.judged import mean
from benchmarks.motion import clips_of
from tools.hosting import environment, hosts
from tools.train import SMALL

WAYS = {
    "pan right": {"pan": 1},
    "pan left": {"pan": -1},
    "pan up": {"tilt": 1},
    "pan down": {"tilt": -1},
    "zoom in": {"zoom": 1},
    "zoom out": {"zoom": -1},
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SMALL, help="bundle (default: models/seine-small.safetensors)")
    parser.add_argument("--scenes", type=int, default=32, help="held-out scenes per row (default 32)")
    parser.add_argument("--steps", type=int, default=12, help="of ddim (default 12)")
    parser.add_argument("--ways", choices=WAYS, nargs="+", default=[*WAYS], help="some of the ways only")
    parser.add_argument("--speeds", type=float, nargs="+", default=[0.5, 1.0], help="default: 0.5 1")
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.9], help="default: 0.9")
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to run in")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    code = environment.enter(Path(__file__), "client", "torch", "training")
    if code is not None:
        return code
    runs = [
        {"name": f"{way}, {speed:g}, {strength:g}", "way": way, "prompt": "unsaid", "task": "image to video"}
        | {"camera": _dials(way, speed) | {"strength": strength}}
        for way in arguments.ways
        for speed in arguments.speeds
        for strength in arguments.strengths
    ]
    print("| way, speed, strength | as asked | pixels per frame | zoom per frame | first frame, dB | smoothness | s |")
    print("| --- " * 7 + "|")
    with tempfile.TemporaryDirectory(prefix="seine-camera-") as folder:
        for run, clips, scenes, truth, seconds in clips_of(runs, arguments, Path(folder)):
            print(_row(run, clips, scenes, truth, seconds), flush=True)
    return 0


def _dials(way: str, speed: float) -> dict[str, float]:
    return {"pan": 0.0, "tilt": 0.0, "zoom": 0.0} | {dial: sign * speed for dial, sign in WAYS[way].items()}


def _row(run: dict[str, Any], clips: Any, scenes: list, truth: list, seconds: float) -> str:
    from tools.training.small_model import measures
    from tools.training.small_model.camera import camera_motion

    seen = [camera_motion(clip, scene.look.colour) for clip, scene in zip(clips, scenes, strict=True)]
    right, down, zoom = (mean([getattr(each, name) for each in seen]) for name in ("right", "down", "zoom"))
    first = mean([measures.psnr(clip[0], real[0]) for clip, real in zip(clips, truth, strict=True)])
    smooth = mean([measures.smoothness(clip) for clip in clips])
    asked = mean([each.name == run["way"] for each in seen])
    return (
        f"| {run['name']} | {asked:.0%} | {right:+.2f}, {down:+.2f} | {zoom:.4f} | {first:.1f} | {smooth:.2f} "
        f"| {seconds:.1f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
