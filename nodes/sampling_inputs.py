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


def window_inputs() -> list:
    """How every window of a film is sampled, and how long it is."""
    return [
        *sampling_inputs(
            "film",
            seed_after_run="fixed",  # a new seed would make everything anew
            steps_tooltip="Denoising steps of every window: 25 with ddim, 250 with seine_ddpm.",
        ),
        io.Int.Input(
            "window",
            default=16,
            min=2,
            max=512,
            tooltip="Frames the model sees at once. SEINE was trained on 16.",
        ),
        io.Int.Input(
            "overlap",
            default=3,
            min=1,
            max=256,
            tooltip="Known frames each window continues from: more carry motion on better, fewer are faster.",
        ),
    ]
