"""What the clips of a benchmark show, averaged over scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class Result:
    """What one run measured, averaged over its scenes; None where the task has no such measure."""

    name: str
    task: str
    seconds: float
    first: float | None = None
    last: float | None = None
    reconstruction: float = 0.0
    clip: float | None = None
    same: float | None = None
    motion: float | None = None
    colour: float = 0.0
    shape: float = 0.0
    both: float = 0.0
    smoothness: float = 0.0


def judge(
    run: dict[str, Any], seconds: float, scenes: Sequence, truth: Sequence, clips: Any, reconstructed: Any
) -> Result:
    from tools.training.small_model import measures

    kept = {"image to video": ("first",), "transition": ("first", "last"), "text to video": ()}[run["task"]]
    result = Result(run["name"], run["task"], seconds)
    for name, index in (("first", 0), ("last", -1)):
        if name in kept:
            values = [measures.psnr(clip[index], real[index]) for clip, real in zip(clips, truth, strict=True)]
            setattr(result, name, mean(values))
    ends = [(0, 0), (1, -1)][: max(len(kept), 1)]
    result.reconstruction = mean(
        [measures.psnr(reconstructed[end][i], real[at]) for end, at in ends for i, real in enumerate(truth)]
    )
    if run["task"] == "transition":
        result.clip = mean([measures.psnr(clip, real) for clip, real in zip(clips, truth, strict=True)])
    pairs = list(zip(clips, scenes, strict=True))
    result.motion = mean([measures.motion(clip, scene.look.colour) == scene.motion for clip, scene in pairs])
    seen = [(measures.look_at(clip[len(clip) // 2]), scene.look) for clip, scene in pairs]
    result.colour = mean([sight is not None and sight.colour == look.colour for sight, look in seen])
    result.shape = mean([sight is not None and sight.shape == look.shape for sight, look in seen])
    result.both = mean(
        [sight is not None and (sight.colour, sight.shape) == (look.colour, look.shape) for sight, look in seen]
    )
    result.smoothness = mean([measures.smoothness(clip) for clip in clips])
    return result


def mean(values: Sequence[float]) -> float:
    return sum(map(float, values)) / len(values)
