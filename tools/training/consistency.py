"""Distillation to the clip: in each of a few steps a student predicts where its teacher comes to from the same noise.

Pairs of noise and of the guided teacher's clip are made once, which is the dear part, and each teaches many times. The
student goes the straight line from the one to the other (rectified flow with its pairs, Liu et al., arXiv 2209.03003):
its prediction at each timestep is the line's slope, and where it left the line itself, the slope to the clip. So it is
a consistency model (Song et al., arXiv 2303.01469) on these timesteps, of which a sampler may leave out any but one.
`distillation` teaches the slope to the next timestep instead, which is right for all of them together alone.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from seine_model.unet import SeineUNet3D
from seine_model.writing import whole_file
from tools.hosting import bars
from tools.training.distillation import (
    LEAST_ERROR,
    DistillationOptions,
    Distiller,
    drawn,
    guided,
    predicted,
    segments,
)
from tools.training.made_from import check, fingerprint
from tools.training.trainer import Clips


@dataclass
class TaughtWays:
    """Where a teacher came to from noise: noise and clips [ways, 4, frames, h, w], given [ways, 5, frames, h, w], mask
    and latents, and contexts [ways, tokens, width]; in half precision, on the CPU.
    """

    noise: Tensor
    clips: Tensor
    given: Tensor
    contexts: Tensor


def taught_ways(
    teacher: SeineUNet3D, clips: Clips, options: DistillationOptions, folder: Path, count: int
) -> TaughtWays:
    """At least so many ways, from the files of `folder` as far as they are there; the rest is made and kept there.

    Raises ValueError for files of another teacher, of other clips or of other options.
    """
    folder.mkdir(parents=True, exist_ok=True)
    used = {name: getattr(options, name) for name in ("visited", "teacher_steps", "cfg", "videos", "frames", "seed")}
    used |= {"visited": list(options.visited), "checkpoint": fingerprint(teacher.state_dict())}
    made_from = {**clips.made_from, **used}
    files = [folder / f"ways-{index:05}.safetensors" for index in range(math.ceil(count / options.videos))]
    records = {_record(file): file for file in reversed(files) if file.exists()}
    for record, file in records.items():
        check(file, "distillation", json.loads(record), made_from)
    with bars.bar("the teacher's ways", len(files)) as bar:
        for index, file in enumerate(files):
            if not file.exists():
                with whole_file(file) as part:
                    made = _ways(teacher, clips, options, index)
                    save_file(vars(made), part, {"made_from": json.dumps(made_from)})
            bar.update()
    parts = [load_file(file) for file in files]
    return TaughtWays(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})


def _record(file: Path) -> str:
    """JSON of what ways were made from."""
    with safe_open(file, "pt") as stored:
        said = stored.metadata()
    if "made_from" in said:
        return said["made_from"]
    return json.dumps(json.loads(said["options"]) | {"checkpoint": said["teacher"]})  # of an earlier version


def _ways(teacher: SeineUNet3D, clips: Clips, options: DistillationOptions, index: int) -> TaughtWays:
    """The batch of this index."""
    device = next(teacher.parameters()).device
    generator = torch.Generator(clips.gray.device).manual_seed(options.seed * 1_000_003 + index)
    _, noise, given, texts = (each.to(device) for each in drawn(clips, options, generator))
    ways = segments(options.visited, options.teacher_steps)
    noise = noise.half()
    state = noise.float() * _scale(ways[0].sigmas[0])
    for way in ways:
        state, _ = guided(teacher, way, state, given, texts, options.cfg)
    parts = noise, state, given, texts[: len(noise)]
    return TaughtWays(*(part.half().cpu().contiguous() for part in parts))


def _scale(sigma: float) -> float:
    """Of a sampler's start, in which no clip is hidden."""
    return math.sqrt(1 + sigma**2)


class ConsistencyDistiller(Distiller):
    """Distils what `taught` shows into `unet`: a LoRA, or all its weights."""

    to_clip = True

    def __init__(self, unet: SeineUNet3D, clips: Clips, options: DistillationOptions, taught: TaughtWays) -> None:
        super().__init__(unet, clips, options, teacher=unet)
        self.taught = taught

    def errors(self) -> dict[str, list[float]]:
        return {f"{way.split()[0]} to clip": values for way, values in super().errors().items()}

    def _batch(self) -> tuple[Tensor, ...]:
        options, taught = self.options, self.taught
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + self.step)
        rows = torch.randint(len(taught.clips), (options.videos,), generator=generator)
        own = torch.rand(options.videos, generator=generator) < options.own
        batch = (value[rows].float() for value in vars(taught).values())
        return tuple(each.to(self.device, non_blocking=True) for each in (*batch, own))

    def _errors(self, noise: Tensor, clips: Tensor, given: Tensor, contexts: Tensor, own: Tensor) -> Tensor:
        """The error of each timestep's prediction, and gradients of the sum of their logarithms."""
        own, errors = own.view(-1, 1, 1, 1, 1), []
        importance = 1 + (self.options.given - 1) * (1 - given[:, 0, :, 0, 0])
        sigmas = [way.sigmas[0] for way in self._ways]
        state = noise * _scale(sigmas[0])
        line = (state - clips) / sigmas[0]
        for way, sigma, following in zip(self._ways, sigmas, [*sigmas[1:], 0.0], strict=True):
            with self._precision:
                slope = predicted(self.unet, state, sigma, way.timesteps[0], given, contexts)
            error = ((slope - (state - clips) / sigma).square().mean((1, 3, 4)) * importance).mean()
            (error + LEAST_ERROR).log().backward()
            errors.append(error.detach())
            state = torch.where(own, state + (following - sigma) * slope.detach(), clips + following * line)
        return torch.stack(errors)
