"""What a run of a SEINE MODEL begins with, whichever sampler it is: checked before the network meets it.

The pack's own nodes look at their inputs themselves; the host's samplers look at nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from comfy.patcher_extension import WrappersMP, get_all_wrappers
from comfy.samplers import CFGGuider
from torch import Tensor

from ..seine_model.inputs import check_embedding, check_finite, check_latents
from .clip_checks import check_kinds, kind_of
from .keyframes import FRAMES, MASK, MASKED_LATENTS
from .preview import with_preview
from .shared_keyframes import share_keyframes
from .timed_keyframes import divided, fits
from .vae_scale import warn_of_other_vae

_KEY = "seine_run"
LARGEST_SIGMA = 1e6
"""SEINE's own end at 157, those without any signal left in the thousands."""


def prepare_run_checks(patcher: Any) -> None:
    """Have every run of a SEINE MODEL begin with the checks, with keyframes for the prompts that have none, and with
    those that change divided into their parts."""
    patcher.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, _KEY, _checked_run)


def check_prompt(prompt: Mapping[str, Any], name: str) -> None:
    """Raises ValueError for a prompt without an embedding, or whose keyframes are not of one clip."""
    embedding = prompt.get("cross_attn")
    if not isinstance(embedding, Tensor):
        raise ValueError(f"{name}: there is no prompt in it: wire in CLIP Text Encode or SEINE Image to Video")
    check_embedding(embedding, name)
    if not _whole_clip(*(prompt.get(key) for key in (FRAMES, MASK, MASKED_LATENTS))) or not fits(prompt):
        raise ValueError(
            f"{name}: the keyframes in it were changed, and fit no clip: wire in SEINE Image to Video itself"
        )


def check_noise(noise: Tensor, latents: Tensor, denoise_mask: Tensor | None) -> None:
    """Raises ValueError for what is not latents ``[frames, 4, h, w]``, or not finite."""
    check_latents(noise, "latent_image", "Use the latent of SEINE Image to Video, Empty Latent Image or VAE Encode.")
    check_finite(latents, "latent_image: the latent", ", so what made it failed: make it anew")
    if denoise_mask is not None:
        check_finite(denoise_mask, "latent_image: its noise mask", ": set it anew")


def check_sigmas(sigmas: Tensor) -> None:
    """Raises ValueError for SIGMAS that are not finite or beyond all schedules, as some give for a single step."""
    if not bool(((sigmas >= 0) & (sigmas < LARGEST_SIGMA)).all()):
        raise ValueError(
            f"sigmas, of this scheduler at so few steps: {sigmas.tolist()!r:.80} are no levels of noise: raise steps, "
            "or choose another scheduler"
        )


def check_windows(handler: Any) -> None:
    """Raises ValueError for context windows that slide over something else than frames."""
    dimension = getattr(handler, "dim", 0)
    if dimension != 0:
        raise ValueError(
            f"model: its context windows slide over dimension {dimension} of the latent, as those for other models do; "
            "SEINE's frames are dimension 0: use Context Windows (Manual), and set its dim to 0"
        )


def _whole_clip(frames: Any, mask: Any, masked_latents: Any) -> bool:
    """Whether a prompt carries nothing, or what `keyframes.attach` gave it."""
    if frames is mask is masked_latents is None:
        return True
    if not isinstance(frames, int) or frames < 1 or not isinstance(masked_latents, Tensor):
        return False
    parts = [masked_latents] if mask is None else [masked_latents, mask]
    shapes = all(isinstance(part, Tensor) and part.ndim == 4 and part.numel() for part in parts)
    if not shapes or masked_latents.shape[1] != 4 or any(len(part) % frames for part in parts):
        return False
    return all(part.is_floating_point() and bool(torch.isfinite(part).all()) for part in parts)


def _checked_run(
    executor: Callable,
    noise: Tensor,
    latents: Tensor,
    sampler: Any,
    sigmas: Tensor,
    denoise_mask: Tensor | None = None,
    callback: Callable | None = None,
    *given: Any,
    **options: Any,
) -> Any:
    if not callable(getattr(sampler, "sample", None)):
        raise ValueError(f"sampler: this is no sampler but {type(sampler).__name__}: wire in SEINE DDPM Sampler")
    guider = executor.class_obj
    check_noise(noise, latents, denoise_mask)
    check_sigmas(sigmas)
    check_windows(guider.model_options.get("context_handler"))
    for name, prompts in _by_input(guider.conds).items():
        for prompt in prompts or ():
            check_prompt(prompt, name)
    share_keyframes(guider.conds)
    patcher = guider.model_patcher
    warn_of_other_vae(patcher.model, guider.conds)
    for name, prompts in guider.conds.items():
        if prompts is not None:
            guider.conds[name] = [part for prompt in prompts for part in divided(prompt)]
    to_sigma = patcher.get_model_object("model_sampling").percent_to_sigma
    used = {name: prompts for name, prompts in guider.conds.items() if name != "negative" or _is_used(guider, sampler)}
    check_kinds(_by_input(used), len(noise), sigmas, to_sigma)
    kinds = {kind_of(prompt, len(noise)) for prompts in guider.conds.values() for prompt in prompts or ()}
    callback = with_preview(callback, patcher)
    with patcher.model.run_of(kinds):
        return executor(noise, latents, sampler, sigmas, denoise_mask, callback, *given, **options)


def _is_used(guider: Any, sampler: Any) -> bool:
    """Whether the negative prompt may be asked for: at cfg 1 the host leaves it out, if nothing has it do otherwise."""
    if type(guider).predict_noise is not CFGGuider.predict_noise or not math.isclose(guider.cfg, 1.0):
        return True
    options = guider.model_options
    wrapped = get_all_wrappers(WrappersMP.PREDICT_NOISE, options, is_model_options=True)
    return (
        options.get("disable_cfg1_optimization", False)
        or bool(wrapped)  # such as CFG Override
        or "cfg_pp" in getattr(getattr(sampler, "sampler_function", None), "__name__", "")
    )


def _by_input(conds: Mapping[str, Any]) -> dict[str, Any]:
    """The prompts of a guider by the names that its node's inputs have."""
    names = {"empty_negative_prompt": "empty_conditioning"}
    if "middle" in conds:
        names |= {"positive": "cond1", "middle": "cond2"}
    return {names.get(name, name): prompts for name, prompts in conds.items()}
