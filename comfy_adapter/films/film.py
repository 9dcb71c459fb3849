"""Films longer than the model's clips: windows that keep what is known at their ends, made one after the other.

Everything stays latent. A window that was finished before, by this host or an earlier run of it, is not made again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from ...seine_model.seams import meet_kept_frames
from ...seine_model.windows import Window, plan
from ..keyframes import attach
from ..preview import prepare_callback
from ..progress_text import show_progress_text
from ..sampling import require_keyframes, sample
from . import window_store
from .fingerprint import Fingerprints, patches_of
from .per_frame import Place, conditioning_of

SEEDS = 2**64


@dataclass(frozen=True)
class Settings:
    """How every window is sampled, and how long it is; `overlap` frames are kept at ends where frames are known."""

    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    window: int
    overlap: int


@dataclass(frozen=True)
class Gap:
    """Frames to generate between two runs of known latents ``[frames, 4, h, w]``, either of which may be empty.

    Where what is known after them is the film's beginning it is a `loop`.
    """

    name: str
    before: Tensor
    frames: int
    after: Tensor
    positive: list
    negative: list
    seed: int
    loop: bool = False

    def windows(self, settings: Settings) -> list[Window]:
        return plan(len(self.before), self.frames, len(self.after), settings.window, settings.overlap)

    def place(self, window: Window) -> Place:
        """Where the window lies in what is known before the gap, the gap, and what is known after it.

        A window may reach beyond the film's ends, where it is made and dropped.
        """
        first = len(self.before)
        total = first + self.frames + (0 if self.loop else len(self.after))
        frames = range(first + window.start, first + window.start + window.length)
        within = (frame % total if self.loop else min(max(frame, 0), total - 1) for frame in frames)
        return Place(tuple(within), first, self.frames, total)


class FilmMaker:
    """Fills gaps. `gray`: latent ``[1, 4, h, w]`` of a frame to generate; `windows`: how many there will be in all."""

    def __init__(self, model: Any, gray: Tensor, settings: Settings, windows: int) -> None:
        self.fingerprints = Fingerprints()
        # A model that was not read from a file is known by its weights.
        inside = require_keyframes(model).source or model.model
        self.key = self.fingerprints.of(inside, patches_of(model), asdict(settings))
        self.model, self.gray, self.settings, self.windows = model, gray, settings, windows
        self.done = 0
        self._stored: set[str] = set()
        self._progress: Callable | None = None

    def fill(self, gap: Gap) -> Tensor:
        """The gap's frames ``[frames, 4, h, w]``."""
        filled = self.gray.new_zeros((gap.frames, *self.gray.shape[1:]))
        for index, window in enumerate(gap.windows(self.settings)):
            comfy.model_management.throw_exception_if_processing_interrupted()
            kept = [_frame(gap, filled, window.start + position) for position in window.kept]
            show_progress_text(f"{gap.name}: window {self.done + 1} of {self.windows}")
            frames = self._window(gap, window, kept, (gap.seed + index) % SEEDS)
            first = window.first - window.start
            filled[window.first : window.last + 1] = frames[first : first + window.last - window.first + 1]
            self.done += 1
        return filled

    def _window(self, gap: Gap, window: Window, kept: list[Tensor], seed: int) -> Tensor:
        mask = torch.ones(window.length)
        mask[list(window.kept)] = 0
        masked = self.gray.repeat(window.length, 1, 1, 1)
        for position, frame in zip(window.kept, kept, strict=True):
            masked[position] = frame
        place = gap.place(window)
        positive, negative = (conditioning_of(prompt, place) for prompt in (gap.positive, gap.negative))
        key = self.key and self.fingerprints.of(self.key, positive, negative, mask, masked, seed)
        found = window_store.find(key, masked) if key else None
        if found is not None:
            total = self.settings.steps * self.windows
            comfy.utils.ProgressBar(total).update_absolute(self.settings.steps * (self.done + 1), total)
            self._stored.add(key)
            return found
        result = sample(
            self.model,
            attach(positive, mask, masked),
            attach(negative, mask, masked),
            {"samples": torch.zeros_like(masked)},
            seed=seed,
            steps=self.settings.steps,
            cfg=self.settings.cfg,
            sampler_name=self.settings.sampler_name,
            scheduler=self.settings.scheduler,
            callback=self._callback(),
        )["samples"]
        result = result.cpu().float()
        if not torch.isfinite(result).all():
            raise ValueError(
                f"{gap.name}: sampling gave NaN or infinite values: lower cfg, or load the model with weight_dtype "
                "fp32 or bf16"
            )
        result = meet_kept_frames(result, mask, masked)
        if key:
            window_store.save(key, result, self._stored)
            self._stored.add(key)
        return result

    def _callback(self) -> Callable:
        """The host's own, counting the steps of all windows."""
        steps, done = self.settings.steps, self.done
        if self._progress is None:
            self._progress = prepare_callback(self.model, steps * self.windows)
        progress = self._progress
        return lambda step, x0, x, total: progress(done * steps + step, x0, x, steps * self.windows)


def _frame(gap: Gap, filled: Tensor, number: int) -> Tensor:
    """Frame `number` in the gap's numbers."""
    if number < 0:
        return gap.before[number]
    return gap.after[number - gap.frames] if number >= gap.frames else filled[number]
