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

from seine_model.diffusion import TIMESTEPS, Schedule
from seine_model.masks import frame_mask
from seine_model.temporal import RotaryEmbedding
from seine_model.unet import SeineUNet3D
from tools.training.optimisation import MuonWithAdamW

MASK_SHARES = {"first": 0.35, "onelast": 0.25, "last": 0.05, "random": 0.1, "all": 0.25}
"""How often each kind of mask is drawn: N first, N first and last, N last, any frames given, or none at all."""
NOISIEST, STARTING = 800, 975
"""Timesteps from which a clip is nearly noise, and from which a sampler's start may be taken for one.

What is left of a clip there is faint in every pixel, and yet its layout and its motion are seen in all pixels together:
a network learns to read them from its input alone, and a sampler's start then decides them whatever the prompt says.
So from `STARTING` on training shows noise in which no clip is hidden, as samplers do, and the words are all there is.
"""
MOST_GIVEN = 4
"""Largest N, as the reference's own tasks have it; never more than a quarter of the clip for each end."""


class Clips(Protocol):
    """What there is to learn from. All latents are scaled, as the UNet sees them."""

    gray: Tensor
    """Latents of a mid-gray frame, [variants, 4, h, w]: what a frame to generate shows the network. More than one
    where hosts may make them in more than one way; each clip of a batch gets one of them."""
    empty_context: Tensor
    """Embedding of the empty prompt, [tokens, width]."""

    def batch(self, videos: int, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Some clips: latents [videos, 4, frames, h, w] and contexts [videos, tokens, width]."""


@dataclass(frozen=True)
class Weighting:
    """How much the errors at a timestep count, by its signal-to-noise ratio, for latents of deviation `signal_std`.

    Most of the plain loss is fine detail, which a network learns first. This one counts errors as a loss on the
    velocity does (Salimans and Ho, arXiv 2202.00512), so that layout and motion, which are decided at high noise, are
    learned as soon, and counts them less above a ratio of `gamma` (min-SNR, Hang et al., arXiv 2303.09556).
    """

    signal_std: float = 1.0
    gamma: float = 5.0
    most: float = 100.0
    given: float = 1.0
    """How many times the errors in given frames count, for them to be repeated exactly after few steps of training."""

    def of(self, snr: Tensor) -> Tensor:
        """Weights for the ratios abar / (1 - abar)."""
        snr = snr * self.signal_std**2
        return snr.clamp(max=self.gamma) / snr * (1 + 1 / snr).clamp(max=self.most)


@dataclass(frozen=True)
class Phase:
    """A stretch of the training: `steps` batches of `videos` clips with `frames` frames."""

    steps: int
    videos: int
    frames: int
    weighting: Weighting | None = None
    """How much each timestep counts; None for all alike, as SEINE was trained."""
    noisiest: float = 0.0
    """Share of the clips whose timestep is among the `NOISIEST`, where a clip's layout and motion are decided."""
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


def draw_mask(frames: int, generator: torch.Generator, text_alone: float | None = None) -> Tensor:
    """A frame mask [frames], 1 = generate, of one of the kinds in `MASK_SHARES`; of a single frame nothing is given.

    text_alone: how often no frame is given, if not as often as there.
    """
    shares = torch.tensor(list(MASK_SHARES.values()))
    if text_alone is not None:
        shares = shares * (1 - text_alone) / (1 - MASK_SHARES["all"])
        shares[list(MASK_SHARES).index("all")] = text_alone
    kind = list(MASK_SHARES)[int(torch.multinomial(shares, 1, generator=generator))]
    if kind == "all" or frames == 1:
        return frame_mask("all", frames)
    if kind == "random":
        given = 1 + int(torch.randint(min(MOST_GIVEN, frames - 1), (), generator=generator))
        mask = torch.ones(frames)
        mask[torch.randperm(frames, generator=generator)[:given]] = 0
        return mask
    most = max(1, min(MOST_GIVEN, frames // 4))
    return frame_mask(f"{kind}{1 + int(torch.randint(most, (), generator=generator))}", frames)


def masked_latents(latents: Tensor, mask: Tensor, gray: Tensor) -> Tensor:
    """The given frames of [videos, 4, frames, h, w]; gray [videos, 4, h, w] where the mask [videos, frames] is 1."""
    return torch.where(mask[:, None, :, None, None] > 0.5, gray[:, :, None], latents)


def noise_prediction_loss(
    unet: nn.Module,
    latents: Tensor,
    masked: Tensor,
    mask: Tensor,
    context: Tensor,
    generator: torch.Generator,
    weighting: Weighting | None = None,
    noisiest: float = 0.0,
) -> Tensor:
    """Mean squared error of the predicted noise at random timesteps (DDPM's simple loss, arXiv 2006.11239, eq. 14).

    latents and masked [videos, 4, frames, h, w], mask [videos, frames], context [videos, tokens, width]. Without a
    `weighting` all timesteps count alike, as in SEINE's own training. A share `noisiest` of the clips has a timestep
    from `NOISIEST` on; where there are such, those from `STARTING` on see noise alone.
    """
    videos = latents.shape[0]
    apart = round(videos * noisiest)
    timesteps = torch.cat(
        (_spread(apart, NOISIEST, TIMESTEPS, generator), _spread(videos - apart, 0, TIMESTEPS, generator))
    )
    noise = torch.randn(latents.shape, generator=generator).to(latents)
    abar = _alphas_cumprod()[timesteps].to(latents).reshape(-1, 1, 1, 1, 1)
    noisy = abar.sqrt() * latents + (1 - abar).sqrt() * noise
    if noisiest:
        starting = (timesteps >= STARTING).to(latents.device).reshape(-1, 1, 1, 1, 1)
        # The prediction that leads to the clip from a start that knows nothing of it.
        noisy, noise = (
            torch.where(starting, noise, noisy),
            torch.where(starting, (noise - abar.sqrt() * latents) / (1 - abar).sqrt(), noise),
        )
    mask_channel = mask[:, None, :, None, None].expand(-1, 1, -1, *latents.shape[-2:]).to(latents)
    sample = torch.cat((noisy, mask_channel, masked), dim=1)
    errors = (unet(sample, timesteps.to(latents.device), context).float() - noise).square().mean((1, 3, 4))
    if weighting is not None:
        to_make = mask.to(errors) > 0.5
        errors = errors * weighting.of((abar / (1 - abar)).reshape(-1, 1)) * torch.where(to_make, 1, weighting.given)
    return errors.mean()


def _spread(count: int, first: int, end: int, generator: torch.Generator) -> Tensor:
    """Timesteps of first .. end - 1, int64 [count], evenly spaced from a random offset: every batch has all noise
    levels (Kingma et al., arXiv 2107.00630, I.1)."""
    if not count:
        return torch.empty(0, dtype=torch.long)
    offsets = torch.rand((), generator=generator) + torch.arange(count) / count
    return (first + offsets % 1 * (end - first)).long().clamp(max=end - 1)


def _alphas_cumprod() -> Tensor:
    return Schedule(torch.arange(TIMESTEPS)).alphas_cumprod


def recompute_activations(unet: SeineUNet3D) -> None:
    """Gradient checkpointing: keep the input of each resnet and transformer only, compute the rest again backwards."""
    for level in (*unet.down_blocks, unet.mid_block, *unet.up_blocks):
        for layer in (*level.resnets, *level.attentions):
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)


class Trainer:
    """Trains `unet` on `clips`. `losses` has one value for each step done, `ema` the averaged weights to publish."""

    def __init__(self, unet: SeineUNet3D, clips: Clips, options: TrainingOptions) -> None:
        self.unet = unet.train().requires_grad_(True)
        self.clips, self.options = clips, options
        self.device = next(unet.parameters()).device
        self.losses: list[float] = []
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
        return len(self.losses)

    def run(self) -> Iterator[float]:
        """Train to the end of the last phase, yielding the loss of each step."""
        while self.step < self.options.steps:
            yield self.advance()

    def advance(self) -> float:
        """Do one step; returns its loss. Raises FloatingPointError where the loss is not a number."""
        options = self.options
        phase = options.phase(self.step)
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + self.step)
        latents, context = self.clips.batch(phase.videos, phase.frames, generator)
        mask = torch.stack([draw_mask(phase.frames, generator, phase.text_alone) for _ in range(phase.videos)])
        dropped = torch.rand(phase.videos, generator=generator) < options.text_dropout
        context = torch.where(dropped[:, None, None], self.clips.empty_context, context).to(self.device)
        variants = torch.randint(len(self.clips.gray), (phase.videos,), generator=generator)
        masked = masked_latents(latents, mask, self.clips.gray[variants]).to(self.device)

        precision = torch.autocast(self.device.type, torch.bfloat16) if options.mixed_precision else nullcontext()
        with precision:
            latents = latents.to(self.device)
            loss = noise_prediction_loss(
                self.unet, latents, masked, mask, context, generator, phase.weighting, phase.noisiest
            )
        if not math.isfinite(loss.item()):
            raise FloatingPointError(
                f"the loss at step {self.step} is {loss.item()}: lower the learning rate or resume an earlier state"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = options.learning_rate_at(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._trained.values(), options.gradient_norm)
        self.optimizer.step()
        self.losses.append(loss.item())
        self._average()
        return self.losses[-1]

    def _average(self) -> None:
        # A young average forgets its random start quickly.
        decay = min(self.options.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self._trained.items():
                self.ema[name].lerp_(value, 1 - decay)

    def save(self, file: Path) -> None:
        """Write the state. The file is also a SEINE checkpoint: loaders read its `ema`."""
        state = {"ema": self.ema, "weights": self.unet.state_dict(), "optimizer": self.optimizer.state_dict()}
        save_state(state | {"losses": self.losses}, file)

    def resume(self, file: Path) -> None:
        """Go on from a state that `save` wrote. Raises RuntimeError where it is of another network."""
        state = torch.load(file, map_location="cpu", weights_only=True)
        self.unet.load_state_dict(state["weights"])
        for name, value in state["ema"].items():
            self.ema[name].copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        self.losses = state["losses"]


def save_state(state: dict, file: Path) -> None:
    """Write so that an interruption leaves the previous state."""
    part = file.with_suffix(".part")
    torch.save(state, part)
    part.replace(file)
