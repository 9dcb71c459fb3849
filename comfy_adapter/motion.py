"""More motion by guidance away from less: SEINE reads from rotary positions how far apart frames are in time, and its
answer for frames that lie closer is what a slower clip would be."""

from __future__ import annotations

import uuid
from typing import Any

import comfy.samplers
from torch import Tensor

from ..seine_model.inputs import check_number
from .sampling import schedule_of

SLOW = 0.5
"""Distance of frames, against the model's own, in the prediction that is guided away from."""
STRONGEST = 8.0


def with_motion(model: Any, motion: float, guidance: float, end: float) -> Any:
    """A MODEL that moves more, by `motion` 0..1; with 0 the same one.

    guidance: how strongly at motion 1 a step is guided away from slow motion, up to `end`, a share of the timesteps;
    it costs a prediction of one more prompt.
    Raises ValueError for a model that is not SEINE.
    """
    sampling = schedule_of(model)
    limits = {"motion": (motion, 1.0), "guidance": (guidance, STRONGEST), "end_percent": (end, 1.0)}
    for name, (value, most) in limits.items():
        check_number(value, name, 0.0, most)
    patched = model.clone()
    if motion * guidance > 0 and end > 0:
        lowest, weight = float(sampling.percent_to_sigma(end)), motion * guidance

        def away_from_slow(arguments: dict[str, Any]) -> Tensor:
            if float(arguments["sigma"].max()) < lowest:
                return arguments["denoised"]
            found = comfy.samplers.calc_cond_batch(
                arguments["model"],
                [[_other(prompt) for prompt in arguments["cond"]]],
                arguments["input"],
                arguments["sigma"],
                _slower(arguments["model_options"]),
            )
            return arguments["denoised"] + weight * (arguments["cond_denoised"] - found[0])

        patched.set_model_sampler_post_cfg_function(away_from_slow)
    return patched


def _other(prompt: dict[str, Any]) -> dict[str, Any]:
    """The prompt as one of its own, so that step caches do not take one prediction for the other."""
    return {**prompt, "uuid": uuid.uuid5(prompt["uuid"], "slow")}


def _slower(options: dict[str, Any]) -> dict[str, Any]:
    """A copy of a run's model options with neighbouring frames closer than there: core's ScaleROPE may say how far."""
    transformer = options.get("transformer_options", {})
    rope = transformer.get("rope_options", {})
    rope = {**rope, "scale_t": SLOW * rope.get("scale_t", 1.0)}
    return {**options, "transformer_options": {**transformer, "rope_options": rope}}
