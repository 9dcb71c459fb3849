"""What a training step learns from: clips of which some frames are given, noised, and what is to be predicted of them.

After Chen et al., arXiv 2310.20700, section 3.2. Everything random is drawn here, on the generator's device.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cache

import torch
from torch import Tensor

from seine_model.diffusion import TIMESTEPS, Schedule

MASK_SHARES = {"first": 0.35, "onelast": 0.25, "last": 0.05, "random": 0.1, "all": 0.25}
"""How often each kind of mask is drawn: N first, N first and last, N last, any frames given, or none at all."""
MOST_GIVEN = 4
"""Largest N, as the reference's own tasks have it; never more than a quarter of the clip for each end."""
NOISIEST, STARTING = 800, 975
"""Timesteps from which a clip is nearly noise, and from which a sampler's start may be taken for one.

What is left of a clip there is faint in every pixel, and yet its layout and its motion are seen in all pixels together:
a network learns to read them from its input alone, and a sampler's start then decides them whatever the prompt says.
So from `STARTING` on training shows noise in which no clip is hidden, as samplers do, and the words are all there is.
"""


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
class Noising:
    """At which timesteps clips are shown, and how much each counts."""

    weighting: Weighting | None = None
    """None for all timesteps alike, as SEINE was trained."""
    noisiest: float = 0.0
    """Share of the clips whose timestep is among the `NOISIEST`, where a clip's layout and motion are decided. Where
    there are such, those from `STARTING` on see noise alone."""


@dataclass(frozen=True)
class Batch:
    """A step's input and what is to come of it, all on one device."""

    sample: Tensor
    """[videos, 9, frames, h, w]: noisy latents, mask, latents of what is given."""
    timesteps: Tensor
    context: Tensor
    target: Tensor
    """The noise to be predicted, [videos, 4, frames, h, w]."""
    weights: Tensor = field(repr=False)
    """How much the error of each frame counts, [videos, frames]."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(getattr(self, each.name) for each in fields(self))

    def to(self, device: torch.device) -> Batch:
        return Batch(*(each.to(device) for each in self.tensors))


def draw_masks(videos: int, frames: int, generator: torch.Generator, text_alone: float | None = None) -> Tensor:
    """Frame masks [videos, frames], 1 = generate, of the kinds in `MASK_SHARES`; of a single frame nothing is given.

    text_alone: how often no frame is given, if not as often as there.
    """
    device = generator.device
    if frames == 1:
        return torch.ones(videos, 1, device=device)
    shares = dict(MASK_SHARES)
    if text_alone is not None:
        shares = {kind: share * (1 - text_alone) / (1 - shares["all"]) for kind, share in shares.items()}
        shares["all"] = text_alone
    bounds = torch.tensor(list(shares.values())).cumsum(0).tolist()
    drawn = torch.rand(videos, 1, generator=generator, device=device) * bounds[-1]
    kind = sum((drawn >= bound).long() for bound in bounds[:-1])
    first, onelast, last, random, _ = (kind == index for index in range(len(shares)))

    count = 1 + torch.randint(max(1, min(MOST_GIVEN, frames // 4)), (videos, 1), generator=generator, device=device)
    any_count = 1 + torch.randint(min(MOST_GIVEN, frames - 1), (videos, 1), generator=generator, device=device)
    shuffled = torch.rand(videos, frames, generator=generator, device=device).argsort(1)
    at = torch.arange(frames, device=device)
    given = (
        (first | onelast) & (at < count) | (last | onelast) & (at >= frames - count) | random & (shuffled < any_count)
    )
    return (~given).float()


def masked_latents(latents: Tensor, mask: Tensor, gray: Tensor) -> Tensor:
    """The given frames of [videos, 4, frames, h, w]; gray [videos, 4, h, w] where the mask [videos, frames] is 1."""
    return torch.where(mask[:, None, :, None, None] > 0.5, gray[:, :, None], latents)


def noised(
    latents: Tensor,
    masked: Tensor,
    mask: Tensor,
    context: Tensor,
    generator: torch.Generator,
    noising: Noising = Noising(),
) -> Batch:
    """Clips at random timesteps: latents and masked [videos, 4, frames, h, w], mask [videos, frames]."""
    videos, device = latents.shape[0], generator.device
    apart = round(videos * noising.noisiest)
    timesteps = torch.cat(
        (_spread(apart, NOISIEST, TIMESTEPS, generator), _spread(videos - apart, 0, TIMESTEPS, generator))
    )
    noise = torch.randn(latents.shape, generator=generator, device=device)
    abar = _alphas_cumprod(device)[timesteps].reshape(-1, 1, 1, 1, 1)
    signal, rest = abar.sqrt() * latents, (1 - abar).sqrt()
    noisy, target = signal + rest * noise, noise
    if noising.noisiest:
        starting = (timesteps >= STARTING).reshape(-1, 1, 1, 1, 1)
        # The prediction that leads to the clip from a start that knows nothing of it.
        noisy, target = torch.where(starting, noise, noisy), torch.where(starting, (noise - signal) / rest, noise)
    weights = torch.ones_like(mask)
    if (weighting := noising.weighting) is not None:
        by_noise = weighting.of(abar / (1 - abar)).reshape(-1, 1)
        weights = by_noise * torch.where(mask > 0.5, 1.0, weighting.given)
    mask_channel = mask[:, None, :, None, None].expand_as(latents[:, :1])
    return Batch(torch.cat((noisy, mask_channel, masked), dim=1), timesteps, context, target, weights)


def _spread(count: int, first: int, end: int, generator: torch.Generator) -> Tensor:
    """Timesteps of first .. end - 1, int64 [count], evenly spaced from a random offset: every batch has all noise
    levels (Kingma et al., arXiv 2107.00630, I.1)."""
    device = generator.device
    offsets = torch.rand((), generator=generator, device=device) + torch.arange(count, device=device) / max(count, 1)
    return (first + offsets % 1 * (end - first)).long().clamp(max=end - 1)


@cache
def _alphas_cumprod(device: torch.device) -> Tensor:
    return Schedule(torch.arange(TIMESTEPS)).alphas_cumprod.to(device, torch.float32)
