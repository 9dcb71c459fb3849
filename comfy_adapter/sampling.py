"""SEINE's own schedule and sampler in the host's terms, and sampling with any of the host's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.sample
import comfy.samplers
import comfy.utils
import torch
from comfy.k_diffusion import sampling as k_diffusion
from torch import Tensor
from tqdm.auto import trange

from ..seine_model.diffusion import respaced_timesteps
from ..seine_model.inputs import check_conditioning, check_finite, check_latents, check_mask, check_number
from ..seine_model.masks import kept_frames
from .clip_checks import check_one_clip, check_own_mask
from .keyframes import FRAMES, attach, frame_values, refuse_keyframes
from .model import SeineModel
from .preview import prepare_callback
from .timed_keyframes import say_of_no_use

SEINE_DDPM = "seine_ddpm"
SEINE_SCHEDULER = "seine"
MOST_NOISES = 100_000
"""The host draws all noises up to the one that is asked for."""
LARGEST_SAMPLER_SEED = 2**64 - 2
"""The host's samplers count one further on the CPU, and PyTorch takes 64 bits."""
FAILED = ": lower cfg, choose another sampler_name, or load the model with weight_dtype fp32 or bf16"


def sampler_names() -> list[str]:
    return [*comfy.samplers.KSampler.SAMPLERS, SEINE_DDPM]


def scheduler_names() -> list[str]:
    return [SEINE_SCHEDULER, *comfy.samplers.KSampler.SCHEDULERS]


def require_seine(model: Any, name: str = "model") -> SeineModel:
    """The model inside a MODEL. Raises ValueError, with the input's name, for one that is not SEINE."""
    if not isinstance(getattr(model, "model", None), SeineModel):
        raise ValueError(f"{name}: this is not a SEINE model. Load one with Load SEINE Model or Load SEINE Checkpoint.")
    return model.model


def require_keyframes(model: Any, name: str = "model") -> SeineModel:
    """The same for what goes on from frames. Raises ValueError for LaVie's base model too, which reads none."""
    inside = require_seine(model, name)
    if not inside.reads_keyframes:
        raise ValueError(
            f"{name}: a film goes on from frames it has, and this model (LaVie's base) reads none: load SEINE itself"
        )
    return inside


def schedule_of(model: Any) -> Any:
    """The sampling object of this MODEL, patched or not: the model inside may have that of whoever ran last.

    Raises ValueError for a model that is not SEINE.
    """
    require_seine(model)
    return model.get_model_object("model_sampling")


def seine_sigmas(model: Any, steps: int, denoise: float = 1.0) -> Tensor:
    """SIGMAS at the reference's respaced timesteps, 999 and 0 included, then 0; the last `steps` where denoise < 1.

    Raises ValueError for fewer than 2 steps of the whole schedule, which the reference cannot space.
    """
    check_number(denoise, "denoise", 0.0, 1.0)
    if denoise == 0:
        return torch.empty(0)
    total = max(steps, int(steps / denoise))
    if total < 2:
        raise ValueError(
            "steps: SEINE's schedule visits the first and the last timestep, so it needs at least 2 steps: raise it"
        )
    sampling = schedule_of(model)
    if total > len(sampling.sigmas):
        raise ValueError(
            f"steps: {total} steps over the whole schedule, but it has only {len(sampling.sigmas)}: lower it"
        )
    sigmas = sampling.sigmas[respaced_timesteps(total, len(sampling.sigmas)).to(sampling.sigmas.device)]
    return torch.cat((sigmas, sigmas.new_zeros(1))).cpu()[-(steps + 1) :]


def sigmas_for(model: Any, sampler_name: str, scheduler: str, steps: int, denoise: float) -> Tensor:
    """SIGMAS of SEINE's schedule or one of the host's, as its KSampler would choose them."""
    if scheduler == SEINE_SCHEDULER:
        return seine_sigmas(model, steps, denoise)
    stock = "ddpm" if sampler_name == SEINE_DDPM else sampler_name
    return comfy.samplers.KSampler(
        model, steps, model.load_device, stock, scheduler, denoise, model_options=model.model_options
    ).sigmas


def check_batch_index(index: Any, rows: int) -> None:
    """Raises ValueError for a LATENT's batch_index, which noise each row gets, that is not of its rows."""
    whole = isinstance(index, list | tuple) and all(isinstance(each, int) for each in index)
    if index is not None and not (whole and len(index) == rows and all(0 <= each <= MOST_NOISES for each in index)):
        raise ValueError(
            f"latent_image: its batch_index {index!r:.60} is not one number for each of its {rows} frames: make the "
            "latent anew"
        )


def check_descending(sigmas: Tensor) -> None:
    """Raises ValueError for SIGMAS that no step can be taken between: not finite, negative, or not descending."""
    if not torch.isfinite(sigmas).all() or (sigmas < 0).any() or (sigmas.diff() >= 0).any():
        raise ValueError(
            f"sigmas: seine_ddpm goes down from sigma to sigma, but they are {sigmas.tolist()!r:.80}: wire in those of "
            "SEINE Scheduler"
        )


@torch.no_grad()
def sample_seine_ddpm(
    model: Callable,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict | None = None,
    callback: Callable | None = None,
    disable: bool | None = None,
    noise_sampler: Callable | None = None,
) -> Tensor:
    """Ancestral sampling with SEINE's fixed-large variance, in the k-diffusion convention y = x / sqrt(alpha_bar).

    The reference's step (beta as the variance) in terms of sigma^2 = (1 - alpha_bar) / alpha_bar; stock "ddpm" and
    "euler_ancestral" use the smaller posterior variance.
    """
    check_descending(sigmas)
    extra_args = extra_args or {}
    if noise_sampler is None:
        noise_sampler = k_diffusion.default_noise_sampler(x, seed=extra_args.get("seed"))
    rows = x.new_ones([x.shape[0]])
    steps, ends = len(sigmas) - 1, bool(sigmas[-1] == 0)  # asked once, since asking waits for the device
    for i in trange(steps, disable=disable):
        sigma, sigma_next = sigmas[i], sigmas[i + 1]
        denoised = model(x, sigma * rows, **extra_args)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigma, "sigma_hat": sigma, "denoised": denoised})
        if ends and i == steps - 1:
            x = denoised
            continue
        ratio = sigma_next**2 / sigma**2
        variance = (sigma**2 - sigma_next**2) * (1 + sigma_next**2) / (1 + sigma**2)
        x = denoised + ratio * (x - denoised) + variance.sqrt() * noise_sampler(sigma, sigma_next)
    return x


def seine_ddpm_sampler() -> Any:
    """The host's SAMPLER around `sample_seine_ddpm`."""
    return comfy.samplers.KSAMPLER(sample_seine_ddpm)


def sample(
    model: Any,
    positive: list,
    negative: list,
    latent: dict[str, Any],
    *,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    denoise: float = 1.0,
    mask: Tensor | None = None,
    callback: Callable | None = None,
) -> dict[str, Any]:
    """Sample a LATENT ``[videos*frames, 4, h, w]``, with the host's progress, previews and cancelling.

    mask ``[frames, H, W]``: keep these frames of the latent itself, whatever the conditioning carries. callback: in
    place of the host's own. Raises ValueError for a model that is not SEINE or a mask of another number of frames.
    """
    require_seine(model)
    samples = latent["samples"]
    check_latents(samples, "latent_image", "Use the latent of SEINE Image to Video, Empty Latent Image or VAE Encode.")
    check_finite(
        samples, "latent_image: the latent", ", so sampling it before failed: lower cfg there, or take another"
    )
    noise_mask, batch_index = latent.get("noise_mask"), latent.get("batch_index")
    if noise_mask is not None:
        check_mask(noise_mask, "latent_image: its noise mask")
        noise_mask = noise_mask.float()
    check_batch_index(batch_index, len(samples))
    check_conditioning(positive, "positive")
    check_conditioning(negative, "negative")
    check_one_clip(latent, {"positive": positive, "negative": negative}, mask)
    check_number(cfg, "cfg", 0.0)
    check_number(denoise, "denoise", 0.0, 1.0)
    if mask is not None:
        say_of_no_use({"positive": positive, "negative": negative}, "mask gives frames of the latent")
        positive, negative = (_keep_from_latent(model, cond, latent, mask) for cond in (positive, negative))
        if denoise >= 1 and noise_mask is None:
            samples = torch.zeros_like(samples)  # an encoded start would leak into the noise
    sigmas = sigmas_for(model, sampler_name, scheduler, steps, denoise)
    if len(sigmas) < 2:
        return latent
    sampler = seine_ddpm_sampler() if sampler_name == SEINE_DDPM else comfy.samplers.sampler_object(sampler_name)
    noise = comfy.sample.prepare_noise(samples, seed, batch_index)
    result = comfy.sample.sample_custom(
        model,
        noise,
        cfg,
        sampler,
        sigmas,
        positive,
        negative,
        samples,
        noise_mask=noise_mask,
        callback=callback or prepare_callback(model, len(sigmas) - 1),
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=min(seed, LARGEST_SAMPLER_SEED),
    )
    check_finite(result, "latent_image: the sampled latent", FAILED)
    return {**latent, "samples": result}


def _keep_from_latent(model: Any, conditioning: list, latent: dict[str, Any], mask: Tensor) -> list:
    """CONDITIONING that keeps frames of the latent itself: of each clip, where it holds several."""
    samples = latent["samples"]
    frames, rows = frame_values(mask).to(samples.device), len(samples)
    if not require_seine(model).reads_keyframes and kept_frames(frames):
        refuse_keyframes("mask")
    if len(frames) == 1:  # one mask is for all frames
        carried = next((options[FRAMES] for _, options in conditioning if FRAMES in options), None)
        frames = frames.expand(carried if isinstance(carried, int) and carried > 0 else rows)
    if rows % len(frames):
        raise ValueError(
            f"mask: it has {len(frames)} frames, the latent has {rows}. Set frames of SEINE Mask Builder to the "
            "latent's, or give a latent of whole clips."
        )
    check_own_mask(latent, frames)
    gray = torch.tensor(require_seine(model).gray_latent).view(1, -1, 1, 1)
    gray = model.get_model_object("latent_format").process_out(gray)
    kept = frames.repeat(rows // len(frames)).view(-1, 1, 1, 1) < 0.5
    return attach(conditioning, frames, torch.where(kept, samples, gray.to(samples)))
