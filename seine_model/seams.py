"""Where generated frames meet known ones."""

from __future__ import annotations

import torch
from torch import Tensor

STEPS_BEHIND = 2
"""How many steps of the clip beside a seam show how much moves there."""


def meet_kept_frames(generated: Tensor, mask: Tensor, given: Tensor) -> Tensor:
    """`generated`, with the kept frames exactly as given and the others moved to meet them: ``[frames, 4, h, w]``.

    SEINE generates kept frames anew, a little off, and the frames beside them in a slightly different look; put beside
    the given ones they would jump. What a kept frame is off by, and what of the step beside it is not motion, is added
    to the frames on that side, fading linearly to the next kept frame (which has its own) or to the end of the clip.
    mask ``[frames]``: 1 = generate; `given` is read where it is 0.
    """
    kept = (mask < 0.5).nonzero().flatten().tolist()
    met = generated.clone()
    for frame in kept:
        for side in (-1, 1):
            run = _generated_beside(frame, side, mask)
            if not run:
                continue
            off = given[frame] - generated[frame] - _excess(generated[[frame, *run[: STEPS_BEHIND + 1]]])
            for distance, other in enumerate(run, 1):
                met[other] += off * (1 - distance / (len(run) + 1))
    met[kept] = given[kept]
    return met


def _generated_beside(frame: int, side: int, mask: Tensor) -> list[int]:
    """The frames to generate from `frame` on to the one side (1) or the other (-1), nearest first."""
    run = []
    while 0 <= frame + side < len(mask) and mask[frame + side] > 0.5:
        frame += side
        run.append(frame)
    return run


def _excess(frames: Tensor) -> Tensor:
    """The part of the step from the first frame to the second that is larger than the steps behind it: [4, h, w].

    What moves goes on moving, place by place; a step that is not followed by its like is a change of look.
    """
    steps = frames.diff(dim=0)
    if len(steps) < 2:
        return torch.zeros_like(steps[0])
    sizes = steps.square().mean(1, keepdim=True).sqrt()
    return steps[0] * (1 - sizes[1:].mean(0) / sizes[0].clamp(min=1e-6)).clamp(min=0)
