"""SEINE's diffusion: the linear schedule, respacing, and the reference's two samplers.

Names follow DDPM (Ho et al., arXiv 2006.11239) and DDIM (Song et al., arXiv 2010.02502). Coefficients are float64 and
rounded to the state's dtype (at least float32) when used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

LINEAR_START = 1e-4
LINEAR_END = 0.02
TIMESTEPS = 1000

NoisePredictor = Callable[[Tensor, Tensor], Tensor]
Callback = Callable[[int, Tensor, Tensor], None]


def linear_betas(total: int = TIMESTEPS) -> Tensor:
    """The training schedule, float64 ``[total]``: linear from 1e-4 to 0.02 at 1000 steps."""
    scale = 1000 / total
    return torch.linspace(scale * LINEAR_START, scale * LINEAR_END, total, dtype=torch.float64)


def respaced_timesteps(steps: int | str, total: int = TIMESTEPS) -> Tensor:
    """The timesteps a sampler visits, int64 ``[steps]`` in order of use (999 first, 0 last).

    An integer spaces them evenly with both ends included; "ddimN" takes every s-th from 0 for the smallest s that gives
    N; "a,b,c" divides the schedule into sections and spaces each. Raises ValueError where that is impossible.
    """
    text = str(steps)
    if text.startswith("ddim"):
        return _strided_timesteps(int(text[4:]), total)
    counts = [int(count) for count in text.split(",")]
    if min(counts) < 1:
        raise ValueError(f"steps: give at least 1, not {steps}")
    size, extra = divmod(total, len(counts))
    chosen: list[int] = []
    start = 0
    for section, count in enumerate(counts):
        length = size + (section < extra)
        if count > length:
            raise ValueError(f"steps: {count} do not fit into {length} timesteps: lower it")
        stride = 1 if count == 1 else (length - 1) / (count - 1)
        position = 0.0
        for _ in range(count):
            chosen.append(start + round(position))  # ties to even; accumulated, as the reference rounds it
            position += stride
        start += length
    return torch.tensor(chosen[::-1], dtype=torch.int64)


def _strided_timesteps(count: int, total: int) -> Tensor:
    for stride in range(1, total):
        timesteps = range(0, total, stride)
        if len(timesteps) == count:
            return torch.tensor(timesteps[::-1], dtype=torch.int64)
    raise ValueError(f"steps: no whole stride gives {count} of {total} timesteps: change it")


class Schedule:
    """Coefficients of the chain that visits only `timesteps` (any order given, kept ascending); float64."""

    def __init__(self, timesteps: Tensor) -> None:
        self.timesteps = timesteps.sort().values
        full = torch.cumprod(1 - linear_betas(), 0)
        if len(self.timesteps) == 0 or self.timesteps[0] < 0 or self.timesteps[-1] >= len(full):
            raise ValueError(f"timesteps: give one or more of 0..{len(full) - 1}")
        one = torch.ones(1, dtype=torch.float64)
        kept = full[self.timesteps.cpu()]
        self.betas = 1 - kept / torch.cat((one, kept[:-1]))
        # Multiplied up again from the betas, as the reference does: equal to `kept` but for the last bits.
        self.alphas_cumprod = torch.cumprod(1 - self.betas, 0)
        self.alphas_cumprod_prev = torch.cat((one, self.alphas_cumprod[:-1]))

    @cached_property
    def sqrt_recip_alphas_cumprod(self) -> Tensor:
        return (1 / self.alphas_cumprod).sqrt()

    @cached_property
    def sqrt_recipm1_alphas_cumprod(self) -> Tensor:
        return (1 / self.alphas_cumprod - 1).sqrt()

    @cached_property
    def posterior_mean_coef1(self) -> Tensor:
        """Weight of x0 in the mean of q(x_{t-1} | x_t, x_0)."""
        return self.betas * self.alphas_cumprod_prev.sqrt() / (1 - self.alphas_cumprod)

    @cached_property
    def posterior_mean_coef2(self) -> Tensor:
        """Weight of x_t in the mean of q(x_{t-1} | x_t, x_0)."""
        return (1 - self.alphas_cumprod_prev) * (1 - self.betas).sqrt() / (1 - self.alphas_cumprod)

    @cached_property
    def posterior_variance(self) -> Tensor:
        return self.betas * (1 - self.alphas_cumprod_prev) / (1 - self.alphas_cumprod)

    @cached_property
    def fixed_large_variance(self) -> Tensor:
        """What SEINE samples with: the betas, and at the first timestep (where no noise is added) the posterior's."""
        return torch.cat((self.posterior_variance[1:2], self.betas[1:]))

    def predict_x0(self, index: int, x: Tensor, eps: Tensor) -> Tensor:
        return float(self.sqrt_recip_alphas_cumprod[index]) * x - float(self.sqrt_recipm1_alphas_cumprod[index]) * eps

    def predict_eps(self, index: int, x: Tensor, x0: Tensor) -> Tensor:
        scaled = float(self.sqrt_recip_alphas_cumprod[index]) * x - x0
        return scaled / float(self.sqrt_recipm1_alphas_cumprod[index])


def _steps(schedule: Schedule, x: Tensor):
    """(step, index into the schedule, timestep per batch row), from the noisiest on."""
    for step, index in enumerate(range(len(schedule.timesteps) - 1, -1, -1)):
        yield step, index, torch.full((x.shape[0],), int(schedule.timesteps[index]), device=x.device)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def ddpm_sample(
    eps: NoisePredictor,
    x: Tensor,
    timesteps: Tensor,
    *,
    noise: Callable[[int], Tensor],
    callback: Callback | None = None,
) -> Tensor:
    """Ancestral sampling with SEINE's fixed-large variance.

    eps(x, t) predicts the noise, t int64 ``[batch]``; x is the start noise; noise(step) gives the noise of a step (not
    asked for at the last); callback(step, x after it, predicted x0).
    """
    schedule = Schedule(timesteps)
    x = _at_least_float32(x)
    for step, i, t in _steps(schedule, x):
        x0 = schedule.predict_x0(i, x, eps(x, t))
        x = float(schedule.posterior_mean_coef1[i]) * x0 + float(schedule.posterior_mean_coef2[i]) * x
        if i > 0:
            x = x + float(schedule.fixed_large_variance[i].sqrt()) * noise(step).to(x)
        if callback is not None:
            callback(step, x, x0)
    return x


def ddim_sample(
    eps: NoisePredictor,
    x: Tensor,
    timesteps: Tensor,
    *,
    eta: float = 0.0,
    noise: Callable[[int], Tensor] | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """DDIM, deterministic at eta 0; arguments as for `ddpm_sample`. Raises ValueError for eta without noise."""
    if eta > 0 and noise is None:
        raise ValueError("noise: give it where eta is above 0")
    schedule = Schedule(timesteps)
    x = _at_least_float32(x)
    for step, i, t in _steps(schedule, x):
        x0 = schedule.predict_x0(i, x, eps(x, t))
        direction = schedule.predict_eps(i, x, x0)
        abar, abar_prev = float(schedule.alphas_cumprod[i]), float(schedule.alphas_cumprod_prev[i])
        sigma = eta * ((1 - abar_prev) / (1 - abar)) ** 0.5 * (1 - abar / abar_prev) ** 0.5
        x = abar_prev**0.5 * x0 + (1 - abar_prev - sigma**2) ** 0.5 * direction
        if sigma > 0 and i > 0:
            x = x + sigma * noise(step).to(x)
        if callback is not None:
            callback(step, x, x0)
    return x
