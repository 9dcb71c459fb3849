"""What a distillation's state was to learn: kept in it, and compared before it is gone on from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tools.training.made_from import check, fingerprint

if TYPE_CHECKING:
    from seine_model.unet import SeineUNet3D
    from tools.training.distillation import DistillationOptions
    from tools.training.trainer import Clips


def task_of(unet: SeineUNet3D, clips: Clips, options: DistillationOptions, to_clip: bool) -> dict[str, object]:
    """What a state must agree in to be gone on from: `unet` as it was before it learnt anything."""
    named = {name: getattr(options, name) for name in ("rank", "cfg", "teacher_steps", "frames", "seed")}
    checkpoint = fingerprint(unet.state_dict(), torch.bfloat16)  # however it is computed with
    return {**clips.made_from, **named, "visited": list(options.visited), "checkpoint": checkpoint, "to_clip": to_clip}


def check_task(file: Path, state: dict[str, Any], task: dict[str, object], quiet: bool = False) -> None:
    """Raises ValueError where a state, of a file, was to learn something else; quiet: see `check`."""
    theirs = state["task"]
    theirs.setdefault("to_clip", theirs.pop("to", None) == "clip")  # as earlier versions said it
    check(file, "distillation", theirs, task, quiet=quiet)


def check_state(file: Path, task: dict[str, object]) -> None:
    """`check_task` of a file that may be there, before anything is made for it."""
    if file.exists():
        check_task(file, torch.load(file, map_location="cpu", weights_only=True, mmap=True), task, quiet=True)
