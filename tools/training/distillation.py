"""Distillation: a student learns to go in one step where its teacher goes in several steps of two predictions each.

Progressive distillation (Salimans and Ho, arXiv 2202.00512) of a guided teacher (Meng et al., arXiv 2210.03142), on the
few timesteps that the student will be sampled at: between two of them the way is a function of its start, which a
small network learns sooner than the way to the end from anywhere (multistep consistency models, arXiv 2403.06807).

The student predicts noise as before. Its prediction is the mean slope of the teacher's way between two noise levels, so
that a sampler's step of first order without guidance or new noise, which `euler` and `ddim` are, lands where the
teacher did. States are y = x0 + sigma * noise, as hosts have them; the network sees y / sqrt(1 + sigma^2).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from seine_model.diffusion import TIMESTEPS, Schedule
from seine_model.temporal import RotaryEmbedding
from seine_model.unet import SeineUNet3D
from tools.training.batches import draw_masks, masked_latents
from tools.training.distillation_task import check_task, task_of
from tools.training.low_rank import add_low_rank, switched_off
from tools.training.optimisation import MuonWithAdamW
from tools.training.replayed import Replayed
from tools.training.trainer import Clips, recompute_activations, save_state

LEAST_ERROR = 1e-9
"""Of a noise prediction: what is nearer to its target counts as exact."""
CHECK_EVERY = 20
"""Steps between looks at the errors, for each of which the device is waited for."""


def visited_timesteps(steps: int) -> tuple[int, ...]:
    """Where the stock scheduler `simple` stops before it ends at no noise; four steps: 999, 749, 499, 249."""
    return tuple(TIMESTEPS - 1 - index * TIMESTEPS // steps for index in range(steps))


@dataclass(frozen=True)
class Segment:
    """One step of the student: the teacher's `timesteps` in it, and the sigmas it passes, both ends included."""

    timesteps: tuple[int, ...]
    sigmas: tuple[float, ...]


def segments(visited: Sequence[int], teacher_steps: int) -> list[Segment]:
    """The ways from each of the visited timesteps to the next, and from the last to no noise at all.

    Raises ValueError for timesteps that do not go down within the schedule, or too close for so many of the teacher's.
    """
    ends = [*visited, 0]
    if any(a <= b for a, b in zip(ends, ends[1:], strict=False)) or not 0 < ends[0] < TIMESTEPS or teacher_steps < 1:
        raise ValueError(
            f"timesteps: give some that go down, within 1 to {TIMESTEPS - 1}, and at least 1 step of the teacher's for "
            f"each; not {list(visited)} and {teacher_steps}"
        )
    abar = Schedule(torch.arange(TIMESTEPS)).alphas_cumprod
    sigma = ((1 - abar) / abar).sqrt().tolist()
    ways = []
    for index, (start, end) in enumerate(zip(ends, ends[1:], strict=False)):
        if start - end < teacher_steps:
            raise ValueError(f"timesteps: {start} and {end} are too close for {teacher_steps} steps: give fewer")
        stops = [round(start + (end - start) * step / teacher_steps) for step in range(teacher_steps + 1)]
        last = 0.0 if index == len(visited) - 1 else sigma[end]
        ways.append(Segment(tuple(stops[:-1]), (*(sigma[stop] for stop in stops[:-1]), last)))
    return ways


@dataclass(frozen=True)
class DistillationOptions:
    steps: int
    videos: int
    frames: int
    cfg: float
    """The teacher's guidance, which the student needs no more; 1 for none."""
    visited: tuple[int, ...] = visited_timesteps(4)
    """Timesteps that the student is sampled at, from the noisiest on."""
    teacher_steps: int = 6
    """Of the teacher, guided, for each of the student's."""
    rank: int = 32
    """Of the low-rank layers that are trained; 0 trains all weights."""
    own: float = 0.5
    """Share of the clips in which the student goes on from where it came to itself, as when sampled, and not from a
    clip with noise added."""
    given: float = 1.0
    """How many times the errors in given frames count."""
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.02
    warmup: int = 20
    muon: bool = False
    ema_decay: float = 0.99
    gradient_norm: float = 1.0
    mixed_precision: bool = False
    """Compute in bfloat16 with weights in float32. Low-rank layers go on weights that are in bfloat16 already."""
    gradient_checkpointing: bool = False
    replayed: bool = False
    """On CUDA: record a step once and replay it, for a network that is faster than its launches."""
    seed: int = 0

    def learning_rate_at(self, step: int) -> float:
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(step / max(self.steps, 1), 1))
        decayed = self.final_learning_rate + (1 - self.final_learning_rate) * cosine
        return self.learning_rate * min((step + 1) / self.warmup, 1) * decayed


class Distiller:
    """Distils `teacher`, or else what `unet` is now, into `unet`. `ema` has the averaged values to publish: all of its
    weights, or what `low_rank.lora_file` wants."""

    to_clip = False
    """Whether each prediction leads to the clip at once, and not to the next timestep."""

    def __init__(
        self, unet: SeineUNet3D, clips: Clips, options: DistillationOptions, teacher: SeineUNet3D | None = None
    ) -> None:
        self.unet, self.clips, self.options = unet, clips, options
        self.task = task_of(unet, clips, options, self.to_clip)
        self.device = next(unet.parameters()).device
        self._ways = segments(options.visited, options.teacher_steps)
        if options.rank:
            self.teacher = unet
            self._trained = add_low_rank(unet, options.rank, options.seed)
        else:
            self.teacher = teacher or copy.deepcopy(unet).requires_grad_(False)
            unet.requires_grad_(True)
            for module in unet.modules():
                if isinstance(module, RotaryEmbedding):  # its frequencies are constants
                    module.requires_grad_(False)
            self._trained = {name: value for name, value in unet.named_parameters() if value.requires_grad}
        self.ema = {name: value.detach().clone() for name, value in self._trained.items()}
        make = MuonWithAdamW if options.muon else torch.optim.AdamW
        self.optimizer = make(self._trained.values(), lr=options.learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
        if options.gradient_checkpointing:
            recompute_activations(unet)
        self._descend = self._errors
        if options.replayed:
            self._descend = Replayed(self._errors, lambda: self.optimizer.zero_grad(set_to_none=True))
        self._errors_of_steps: list[Tensor] = []
        self.shown = math.nan
        """The mean error of the last step that was looked at."""

    @property
    def step(self) -> int:
        """How many steps have been done."""
        return len(self._errors_of_steps)

    def errors(self) -> dict[str, list[float]]:
        """Of each way, by its ends, the mean squared error of the predicted noise at each step."""
        ends = [*self.options.visited, "clip"]
        columns = torch.stack(self._errors_of_steps).T.tolist() if self.step else [[] for _ in self._ways]
        return {f"{a} to {b}": column for a, b, column in zip(ends, ends[1:], columns, strict=False)}

    def run(self) -> Iterator[float]:
        """Distil to the last step, yielding the error that was looked at last."""
        while self.step < self.options.steps:
            self.advance()
            yield self.shown

    def advance(self) -> None:
        """Do one step. Raises FloatingPointError where the errors are not numbers, which it looks at now and then."""
        options = self.options
        batch = self._batch()
        for group in self.optimizer.param_groups:
            group["lr"] = options.learning_rate_at(self.step)
        if not options.replayed:
            self.optimizer.zero_grad(set_to_none=True)
        errors = self._descend(*batch)
        nn.utils.clip_grad_norm_(self._trained.values(), options.gradient_norm)
        self.optimizer.step()
        self._errors_of_steps.append(errors)
        self._average()
        if self.step % CHECK_EVERY == 0 or self.step in (1, options.steps):
            self._look()

    def _batch(self) -> tuple[Tensor, ...]:
        """What `drawn` gives, and which clips [videos] go on by themselves; on the device."""
        options = self.options
        generator = torch.Generator(self.clips.gray.device).manual_seed(options.seed * 1_000_003 + self.step)
        batch = drawn(self.clips, options, generator)
        own = torch.rand(options.videos, generator=generator, device=generator.device) < options.own
        return tuple(each.to(self.device, non_blocking=True) for each in (*batch, own))

    def _errors(self, latents: Tensor, noise: Tensor, given: Tensor, texts: Tensor, own: Tensor) -> Tensor:
        """The error of each way, and gradients of the sum of their logarithms: what a way is off by differs a
        thousandfold between the noisiest and the last, and so each gains as much by being halved."""
        own, errors = own.view(-1, 1, 1, 1, 1), []
        importance = 1 + (self.options.given - 1) * (1 - given[:, 0, :, 0, 0])
        # The sampler's start is noise in which no clip is hidden, for all.
        state = noise * math.sqrt(1 + self._ways[0].sigmas[0] ** 2)
        for way in self._ways:
            start, end = way.sigmas[0], way.sigmas[-1]
            target = self._teach(way, state, given, texts)
            context = texts[: len(latents)]
            with self._precision:
                slope = predicted(self.unet, state, start, way.timesteps[0], given, context)
            error = ((slope - target).square().mean((1, 3, 4)) * importance).mean()
            (error + LEAST_ERROR).log().backward()
            errors.append(error.detach())
            state = torch.where(own, state + (end - start) * slope.detach(), latents + end * noise)
        return torch.stack(errors)

    def _teach(self, way: Segment, state: Tensor, given: Tensor, texts: Tensor) -> Tensor:
        """The mean slope of the teacher's way from `state` on."""
        return guided(self.teacher, way, state, given, texts, self.options.cfg)[1]

    @property
    def _precision(self):
        return torch.autocast(self.device.type, torch.bfloat16) if self.options.mixed_precision else nullcontext()

    @torch.no_grad()
    def _average(self) -> None:
        # A young average forgets its start quickly.
        decay = min(self.options.ema_decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.ema.values()), list(self._trained.values()), 1 - decay)

    def _look(self) -> None:
        self.shown = float(self._errors_of_steps[-1].mean())
        if not math.isfinite(self.shown):
            raise FloatingPointError(
                f"the error at step {self.step} is {self.shown}: lower the learning rate or resume an earlier state"
            )

    @torch.no_grad()
    def publish(self) -> None:
        """Put the averaged values into the network, when it is done."""
        for name, value in self._trained.items():
            value.copy_(self.ema[name])

    def save(self, file: Path) -> None:
        """Write the state."""
        values = {name: value.detach() for name, value in self._trained.items()}
        state = {"values": values, "ema": self.ema, "optimizer": self.optimizer.state_dict(), "task": self.task}
        save_state(state | {"errors": torch.stack(self._errors_of_steps).cpu()}, file)

    def resume(self, file: Path) -> None:
        """Go on from a state that `save` wrote. Raises ValueError where it was to learn something else."""
        state = torch.load(file, map_location="cpu", weights_only=True)
        check_task(file, state, self.task)
        with torch.no_grad():
            for mine, theirs in ((self._trained, state["values"]), (self.ema, state["ema"])):
                for name, value in mine.items():
                    value.copy_(theirs[name])
        self.optimizer.load_state_dict(state["optimizer"])
        self._errors_of_steps = list(state["errors"].to(self.device))
        self._look()


def predicted(unet: SeineUNet3D, state: Tensor, sigma: float, timestep: int, given: Tensor, context: Tensor) -> Tensor:
    """The noise in `state` [videos, 4, frames, h, w], float32. given [videos, 5, frames, h, w]: mask and latents."""
    sample = torch.cat((state / math.sqrt(1 + sigma**2), given), dim=1).to(unet.dtype)
    timesteps = torch.full((len(state),), timestep, device=state.device)
    return unet(sample, timesteps, context.to(unet.dtype)).float()


def drawn(clips: Clips, options: DistillationOptions, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Latents [videos, 4, frames, h, w], as much noise, mask and masked latents [videos, 5, frames, h, w], contexts of
    the prompts and then of none [2 videos, tokens, width]; on the generator's device."""
    videos, device = options.videos, generator.device
    latents, context = clips.batch(videos, options.frames, generator)
    mask = draw_masks(videos, options.frames, generator)
    variants = torch.randint(len(clips.gray), (videos,), generator=generator, device=device)
    masked = masked_latents(latents, mask, clips.gray[variants].float())
    noise = torch.randn(latents.shape, generator=generator, device=device)
    channel = mask[:, None, :, None, None].expand_as(latents[:, :1])
    texts = torch.cat((context, clips.empty_context.float().expand_as(context)))
    return latents, noise, torch.cat((channel, masked), 1), texts


@torch.no_grad()
def guided(
    teacher: SeineUNet3D, way: Segment, state: Tensor, given: Tensor, texts: Tensor, cfg: float
) -> tuple[Tensor, Tensor]:
    """Where the teacher's guided steps of first order lead from `state` on, and the mean slope of that way; without
    what of it is being trained."""
    total, mean = way.sigmas[-1] - way.sigmas[0], torch.zeros_like(state)
    rows = 1 if cfg == 1 else 2
    given, texts = given.repeat(rows, 1, 1, 1, 1), texts[: rows * len(state)]
    with switched_off(teacher):
        for timestep, sigma, following in zip(way.timesteps, way.sigmas, way.sigmas[1:], strict=False):
            found = predicted(teacher, state.repeat(rows, 1, 1, 1, 1), sigma, timestep, given, texts)
            asked, *unasked = found.split(len(state))
            slope = torch.lerp(unasked[0], asked, cfg) if unasked else asked
            state = state + (following - sigma) * slope
            mean = mean + (following - sigma) / total * slope
    return state, mean
