"""Guidance in a part of the steps only: elsewhere the negative prompt is not computed, which halves a step's work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.samplers
from comfy.patcher_extension import WrapperExecutor, WrappersMP
from torch import Tensor

from ..seine_model.inputs import check_number
from .sampling import schedule_of

_KEY = "seine_guidance_interval"
_COND_BATCH, _NEGATIVE_NEEDED = "sampler_calc_cond_batch_function", "disable_cfg1_optimization"
"""Options of a MODEL: what predicts a step's prompts, and that another node needs the negative one at every step."""


def in_interval(model: Any, start: float, end: float) -> Any:
    """A MODEL whose cfg applies from `start` to `end`, shares 0..1 of the timesteps, and is 1 before and after.

    Kynkäänniemi et al., arXiv 2404.07724. Where both are alike it applies nowhere. Raises ValueError where `start` is
    after `end` or the model is not SEINE.
    """
    sampling = schedule_of(model)
    for name, share in (("start_percent", start), ("end_percent", end)):
        check_number(share, name, 0.0, 1.0)
    if start > end:
        raise ValueError(
            f"start_percent: {start:g} is after end_percent {end:g}: lower it; two equal values switch guidance off"
        )
    highest, lowest = (float(sampling.percent_to_sigma(share)) for share in (start, end))

    def predicted(executor: WrapperExecutor, x: Tensor, timestep: Tensor, *given: Any, **options: Any) -> Tensor:
        if start < end and lowest <= float(timestep.max()) <= highest:
            return executor(x, timestep, *given, **options)
        guider = executor.class_obj
        # What other nodes wrap around the prediction stays around this one.
        alone = WrapperExecutor.new_class_executor(_unguided(guider), guider, executor.wrappers, executor.idx)
        return alone(x, timestep, *given, **options)

    patched = model.clone()
    # Around the guider: those of several prompts or models predict by themselves, past the options of a MODEL.
    patched.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, _KEY, predicted)
    return patched


def _unguided(guider: Any) -> Callable[..., Tensor]:
    """In place of a guider's own prediction, that of its positive prompt alone."""
    positive = guider.conds.get("positive")
    if positive is None:
        raise ValueError(
            f"guider: {type(guider).__name__} has no positive prompt to go on with where guidance rests: take "
            "CFGGuider, or bypass SEINE Guidance Interval"
        )
    # Asked of the MODEL: samplers of CFG++ ask too, and are to do without.
    needed = guider.model_options.get(_NEGATIVE_NEEDED, False)

    def predict(x: Tensor, timestep: Tensor, model_options: dict[str, Any] | None = None, seed: Any = None) -> Tensor:
        options = model_options or {}
        if not needed:
            options = {**options, _COND_BATCH: _positive_twice(options.get(_COND_BATCH))}
        negative = guider.conds.get("negative") if needed else None
        model = guider.inner_model
        return comfy.samplers.sampling_function(model, x, timestep, negative, positive, 1.0, options, seed)

    return predict


def _positive_twice(inner: Callable[[dict[str, Any]], list[Tensor]] | None) -> Callable:
    """The positive prediction also in place of the negative one, for nodes that compare the two."""

    def predictions(arguments: dict[str, Any]) -> list[Tensor]:
        if inner is not None:
            found = inner(arguments)
        else:
            found = comfy.samplers.calc_cond_batch(
                *(arguments[name] for name in ("model", "conds", "input", "sigma", "model_options"))
            )
        return [found[0], found[0], *found[2:]]

    return predictions
