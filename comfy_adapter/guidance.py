"""Guidance in a part of the steps only: elsewhere the negative prompt is not computed, which halves a step's work."""

from __future__ import annotations

from typing import Any

import comfy.samplers
from torch import Tensor

from ..seine_model.inputs import check_number
from .sampling import schedule_of


def in_interval(model: Any, start: float, end: float) -> Any:
    """A MODEL whose cfg applies from `start` to `end`, shares 0..1 of the timesteps, and is 1 before and after.

    Kynkäänniemi et al., arXiv 2404.07724. Raises ValueError where `start` is after `end` or the model is not SEINE.
    """
    sampling = schedule_of(model)
    for name, share in (("start_percent", start), ("end_percent", end)):
        check_number(share, name, 0.0, 1.0)
    if start > end:
        raise ValueError(f"start_percent: {start:g} is after end_percent {end:g}: guidance would never apply; lower it")
    highest, lowest = (float(sampling.percent_to_sigma(share)) for share in (start, end))
    patched = model.clone()
    inner = patched.model_options.get("sampler_calc_cond_batch_function")

    def predictions(arguments: dict[str, Any]) -> list[Tensor]:
        conds, sigma = arguments["conds"], float(arguments["sigma"].max())
        guided = conds[1] is None or lowest <= sigma <= highest
        arguments = arguments if guided else {**arguments, "conds": [conds[0], None]}
        if inner is not None:
            found = inner(arguments)
        else:
            found = comfy.samplers.calc_cond_batch(
                *(arguments[name] for name in ("model", "conds", "input", "sigma", "model_options"))
            )
        return found if guided else [found[0], found[0], *found[2:]]

    patched.set_model_sampler_calc_cond_batch_function(predictions)
    return patched
