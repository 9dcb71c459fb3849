"""ControlNets of Stable Diffusion 1.x on SEINE: each is told the timestep of its own schedule, and shown its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from comfy.controlnet import ControlBase, ControlLora
from comfy.model_sampling import EPS, ModelSamplingDiscrete
from comfy.patcher_extension import WrappersMP
from torch import Tensor

_KEY = "seine_control"
WINDOW_OF_PACKS = "ad_params"
"""Where AnimateDiff-Evolved tells other packs which frames a window has. Those of IPAdapter_plus and
Advanced-ControlNet look nowhere else, so the host's windows are told there too."""


class _StableDiffusionSampling(ModelSamplingDiscrete, EPS):
    """What Stable Diffusion 1.x and its ControlNets were trained on: scaled linear betas, 0.00085 to 0.012.

    It is the host's default. SEINE's t = 500 has as much noise as their t = 708.
    """


@cache
def _stable_diffusion_sampling() -> _StableDiffusionSampling:
    return _StableDiffusionSampling()


def prepare_controls(patcher: Any) -> None:
    """Have a SEINE MODEL give its ControlNets what they expect, at each step of each context window."""
    patcher.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, _KEY, _with_controls)


def check_control(control: Any) -> None:
    """Raises ValueError for a control that cannot work on SEINE."""
    for each in chain(control):
        if isinstance(each, ControlLora):
            raise ValueError(
                "positive, negative: a Control-LoRA is the difference to a Stable Diffusion model's weights, which "
                "SEINE does not have: use the whole ControlNet for Stable Diffusion 1.5 instead"
            )


def chain(control: Any) -> Iterator[Any]:
    """A control and those applied before it."""
    while control is not None:
        yield control
        control = control.previous_controlnet


def of_frames(control: ControlBase, rows: Callable[[Tensor], Tensor]) -> ControlBase:
    """A copy of a control and those before it; `rows` chooses among hints ``[n, 3, H, W]``."""
    chosen = control.copy()
    if isinstance(control.cond_hint_original, Tensor):
        chosen.cond_hint_original = rows(control.cond_hint_original)
    if control.previous_controlnet is not None:
        chosen.set_previous_controlnet(of_frames(control.previous_controlnet, rows))
    return chosen


def _with_controls(
    executor: Callable, model: Any, conds: list, x_in: Tensor, timestep: Tensor, model_options: dict[str, Any]
) -> list[Tensor]:
    found = [each for cond in conds for part in cond or () for each in chain(part.get("control"))]
    window = model_options["transformer_options"].get("context_window")
    if window is not None:
        options = {**model_options["transformer_options"], WINDOW_OF_PACKS: _for_packs(window)}
        model_options = {**model_options, "transformer_options": options}
    with ExitStack() as stack:
        for control in {id(each): each for each in found}.values():
            stack.enter_context(_adapted(control, window))
        return executor(model, conds, x_in, timestep, model_options)


def _for_packs(window: Any) -> dict[str, Any]:
    anchor = getattr(window, "causal_anchor_index", None)
    frames = [*([anchor] if anchor is not None and anchor >= 0 else []), *window.index_list]
    return {"sub_idxs": frames, "full_length": window.total_frames, "context_length": len(frames)}


@contextmanager
def _adapted(control: Any, window: Any) -> Iterator[None]:
    sampling, hints = getattr(control, "model_sampling_current", None), control.cond_hint_original
    chooses = hasattr(control, "sub_idxs")  # Advanced-ControlNet's, by what it is told of the window
    sliced = window is not None and not chooses and isinstance(hints, Tensor) and len(hints) >= window.total_frames
    if sampling is not None:
        control.model_sampling_current = _stable_diffusion_sampling()
    if sliced:
        control.cond_hint_original, control.cond_hint = window.get_tensor(hints, dim=0), None
    try:
        yield
    finally:
        if sampling is not None:
            control.model_sampling_current = sampling
        if sliced:
            control.cond_hint_original, control.cond_hint = hints, None
