"""Random-mask training: SEINE's UNet learns to predict the noise in clips of which some frames are given.

After Chen et al., arXiv 2310.20700, section 3.2. Works on latents and text embeddings, so that any VAE and text encoder
will do. Every random number follows from the seed and the step: a run that is stopped and resumed goes on exactly where
it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from seine_model.temporal import RotaryEmbedding
from seine_model.unet import SeineUNet3D
from tools.training.batches import Batch, Noising, draw_masks, masked_latents, noised
from tools.training.made_from import Record, check
from tools.training.optimisation import MuonWithAdamW
from tools.training.replayed import Replayed

UNREAD = 25
"""Losses that are left on a card at most, since reading one waits for the step."""


class Clips(Protocol):
    """What there is to learn from. All latents are scaled, as the UNet sees them."""

    gray: Tensor
    """Latents of a mid-gray frame, [variants, 4, h, w]: what a frame to generate shows the network. More than one
    where hosts may make them in more than one way; each clip of a batch gets one of them."""
    empty_context: Tensor
    """Embedding of the empty prompt, [tokens, width]."""

    made_from: Record

    def batch(self, videos: int, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Some clips: latents [videos, 4, frames, h, w] and contexts [videos, tokens, width]."""


@dataclass(frozen=True)
class Phase:
    """A stretch of the training: `steps` batches of `videos` clips with `frames` frames."""

    steps: int
    videos: int
    frames: int
    noising: Noising = Noising()
    text_alone: float | None = None
    """Share of the clips of which no frame is given; None as `MASK_SHARES` has it."""


@dataclass(frozen=True)
class TrainingOptions:
    phases: Sequence[Phase]
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.02
    """Share of the learning rate that is left at the end (cosine decay)."""
    warmup: int = 100
    weight_decay: float = 0.01
    muon: bool = False
    """Train the matrices by Muon instead of AdamW, see `optimisation`: for networks that learn from nothing."""
    text_dropout: float = 0.1
    ema_decay: float = 0.999
    gradient_norm: float = 1.0
    mixed_precision: bool = True
    """Compute in bfloat16; weights, optimiser and EMA stay float32."""
    replayed: bool = False
    """On CUDA: record the forward and backward pass once for each phase and replay it, for a network that is faster
    than its launches. All a step needs stays allocated; not together with gradient checkpointing."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory for more time."""
    seed: int = 0

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    def phase(self, step: int) -> Phase:
        for phase in self.phases:
            if step < phase.steps:
                return phase
            step -= phase.steps
        return self.phases[-1]

    def learning_rate_at(self, step: int) -> float:
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(step / max(self.steps, 1), 1))
        decayed = self.final_learning_rate + (1 - self.final_learning_rate) * cosine
        return self.learning_rate * min((step + 1) / self.warmup, 1) * decayed


def noise_prediction_loss(unet: nn.Module, batch: Batch) -> Tensor:
    """Mean squared error of the predicted noise (DDPM's simple loss, arXiv 2006.11239, eq. 14), as the batch has it
    weighted."""
    predicted = unet(batch.sample, batch.timesteps, batch.context).float()
    return ((predicted - batch.target).square().mean((1, 3, 4)) * batch.weights).mean()


def recompute_activations(unet: SeineUNet3D) -> None:
    """Gradient checkpointing: keep the input of each resnet and transformer only, compute the rest again backwards."""
    for level in (*unet.down_blocks, unet.mid_block, *unet.up_blocks):
        for layer in (*level.resnets, *level.attentions):
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)


class Trainer:
    """Trains `unet` on `clips`. `losses` has one value for each step done, `ema` the averaged weights to publish.

    checkpoint: fingerprint of the weights to begin with, where it is not the seed that these follow from.
    """

    def __init__(
        self, unet: SeineUNet3D, clips: Clips, options: TrainingOptions, checkpoint: str | None = None
    ) -> None:
        self.unet = unet.train().requires_grad_(True)
        self.clips, self.options, self.checkpoint = clips, options, checkpoint
        self.device = next(unet.parameters()).device
        self._losses: list[float] = []
        self._unread: list[Tensor] = []
        self._replayed: dict[Phase, Replayed] = {}
        for module in unet.modules():
            if isinstance(module, RotaryEmbedding):  # its frequencies are constants
                module.requires_grad_(False)
        self._trained = {name: value for name, value in unet.named_parameters() if value.requires_grad}
        self.ema = {name: value.detach().clone() for name, value in unet.state_dict().items()}
        make = MuonWithAdamW if options.muon else torch.optim.AdamW
        self.optimizer = make(
            self._trained.values(), lr=options.learning_rate, betas=(0.9, 0.99), weight_decay=options.weight_decay
        )
        if options.gradient_checkpointing:
            recompute_activations(unet)

    @property
    def step(self) -> int:
        """How many steps have been done."""
        return len(self._losses) + len(self._unread)

    @property
    def task(self) -> dict[str, object]:
        """What a state must agree in to be gone on from."""
        begun_with = {} if self.checkpoint is None else {"checkpoint": self.checkpoint}
        return {**self.clips.made_from, "seed": self.options.seed, **begun_with}

    @property
    def losses(self) -> list[float]:
        """Of all steps done. Raises FloatingPointError where one is not a number."""
        if self._unread:
            read = torch.stack(self._unread).tolist()
            self._unread.clear()
            self._losses += read
            for step, loss in enumerate(read, len(self._losses) - len(read)):
                if not math.isfinite(loss):
                    raise FloatingPointError(
                        f"the loss at step {step} is {loss}: lower the learning rate or resume an earlier state"
                    )
        return self._losses

    def run(self) -> Iterator[int]:
        """Train to the end of the last phase, yielding the number of steps done after each."""
        while self.step < self.options.steps:
            self.advance()
            yield self.step

    def advance(self) -> None:
        """Do one step. Raises FloatingPointError where the loss is not a number, on a card some steps later."""
        options = self.options
        phase = options.phase(self.step)
        loss = self._gradients(phase, self._draw(phase).to(self.device))
        for group in self.optimizer.param_groups:
            group["lr"] = options.learning_rate_at(self.step)
        nn.utils.clip_grad_norm_(self._trained.values(), options.gradient_norm)
        self._unread.append(loss)
        if self.device.type == "cpu" or len(self._unread) == UNREAD:
            _ = self.losses
        self.optimizer.step()
        self._average()

    def _draw(self, phase: Phase) -> Batch:
        """The step's batch; every random number follows from the seed and the step, on one kind of device."""
        clips, options = self.clips, self.options
        generator = torch.Generator(clips.gray.device).manual_seed(options.seed * 1_000_003 + self.step)
        latents, context = clips.batch(phase.videos, phase.frames, generator)
        mask = draw_masks(phase.videos, phase.frames, generator, phase.text_alone)
        dropped = torch.rand(phase.videos, generator=generator, device=generator.device) < options.text_dropout
        context = torch.where(dropped[:, None, None], clips.empty_context, context)
        variants = torch.randint(len(clips.gray), (phase.videos,), generator=generator, device=generator.device)
        masked = masked_latents(latents, mask, clips.gray[variants])
        return noised(latents, masked, mask, context, generator, phase.noising)

    def _gradients(self, phase: Phase, batch: Batch) -> Tensor:
        """Leaves the gradients of the batch's loss in the parameters, and returns it."""
        if not self.options.replayed or self.device.type != "cuda":
            self._forget()
            return self._descend(*batch.tensors)
        if phase not in self._replayed:
            self._replayed = {phase: Replayed(self._descend, self._forget)}
        return self._replayed[phase](*batch.tensors)

    def _forget(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)

    def _descend(self, *tensors: Tensor) -> Tensor:
        loss = self._loss(Batch(*tensors))
        loss.backward()
        return loss.detach()

    def _loss(self, batch: Batch) -> Tensor:
        with (
            torch.autocast(self.device.type, torch.bfloat16, cache_enabled=not self.options.replayed)
            if self.options.mixed_precision
            else nullcontext()
        ):
            return noise_prediction_loss(self.unet, batch)

    @torch.no_grad()
    def _average(self) -> None:
        # A young average forgets its random start quickly.
        decay = min(self.options.ema_decay, (1 + self.step) / (10 + self.step))
        averaged = [self.ema[name] for name in self._trained]
        torch._foreach_lerp_(averaged, list(self._trained.values()), 1 - decay)

    def save(self, file: Path) -> None:
        """Write the state. The file is also a SEINE checkpoint: loaders read its `ema`."""
        state = {"ema": self.ema, "weights": self.unet.state_dict(), "optimizer": self.optimizer.state_dict()}
        save_state(state | {"losses": self.losses, "task": self.task}, file)

    def resume(self, file: Path) -> None:
        """Go on from a state that `save` wrote.

        Raises ValueError where it was to learn something else, RuntimeError where it is of another network.
        """
        state = torch.load(file, map_location="cpu", weights_only=True)
        check(file, "training", state.get("task", {}), self.task)
        self.unet.load_state_dict(state["weights"])
        for name, value in state["ema"].items():
            self.ema[name].copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        self._losses, self._unread = state["losses"], []


def save_state(state: dict, file: Path) -> None:
    """Write so that an interruption leaves the previous state."""
    part = file.with_suffix(".part")
    torch.save(state, part)
    part.replace(file)
