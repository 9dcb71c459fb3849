"""The settings that all nodes have that sample."""

from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..comfy_adapter import sampling

DEFAULT_STEPS = 25
"""Twice the fewest steps of ddim that were as good as 100, at the official cfg, in docs/small_model.md."""


def sampling_inputs(what: str, seed_after_run: bool | str, steps_tooltip: str) -> list:
    """`what`: what is sampled, in a word; `seed_after_run`: what the interface does with the seed, see io.Int."""
    return [
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=0xFFFFFFFFFFFFFFFF,
            control_after_generate=seed_after_run,
            tooltip=f"The noise the {what} grows from; the same seed gives the same {what}.",
        ),
        io.Int.Input("steps", default=DEFAULT_STEPS, min=1, max=1000, tooltip=steps_tooltip),
        io.Float.Input(
            "cfg",
            default=8.0,
            min=0.0,
            max=100.0,
            step=0.1,
            round=0.01,
            tooltip="How strongly the prompt is followed; 8 is the official value, 1 is without negative.",
        ),
        io.Combo.Input(
            "sampler_name",
            options=sampling.sampler_names(),
            default="ddim",
            tooltip="seine_ddpm is the official one; ddim, the official alternative, needs fewer steps.",
        ),
        io.Combo.Input(
            "scheduler",
            options=sampling.scheduler_names(),
            default=sampling.SEINE_SCHEDULER,
            tooltip=(
                "seine: the official timesteps. normal is close to them; simple, ddim_uniform and sgm_uniform skip "
                "the last timestep and are not recommended."
            ),
        ),
    ]
