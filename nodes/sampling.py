from __future__ import annotations

import torch
from comfy_api.v0_0_2 import io

from ..comfy_adapter import guidance, sampling
from .checked import checked
from .sampling_inputs import DEFAULT_STEPS, sampling_inputs

_DENOISE_TOOLTIP = "1 makes a new clip; less starts from the latent and changes it that much."


class SEINEKSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEKSampler",
            display_name="SEINE KSampler (masked video)",
            category="SEINE",
            description=(
                "Sample a clip. The official setting is seine_ddpm with 250 steps of the seine scheduler; ddim needs "
                "far fewer. With a mask wired in, kept frames are taken from the latent itself."
            ),
            search_aliases=["seine sampler", "ksampler", "video sampler", "ddpm", "ddim", "continue video"],
            inputs=[
                io.Model.Input("model", tooltip="SEINE."),
                io.Conditioning.Input("positive", tooltip="From SEINE Image to Video, or a prompt alone."),
                io.Conditioning.Input("negative", tooltip="From the same node as positive."),
                io.Latent.Input("latent_image", tooltip="Frames as batch, from SEINE Image to Video."),
                *sampling_inputs(
                    "clip", seed_after_run=True, steps_tooltip="Denoising steps: 25 with ddim, 250 with seine_ddpm."
                ),
                io.Float.Input("denoise", default=1.0, min=0.0, max=1.0, step=0.01, tooltip=_DENOISE_TOOLTIP),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip=(
                        "From SEINE Mask Builder: keep these frames of latent_image itself. Leave it unplugged where "
                        "SEINE Image to Video already gave the keyframes."
                    ),
                ),
            ],
            outputs=[io.Latent.Output(tooltip="The clip, frames as batch.")],
        )

    @classmethod
    @checked
    def execute(
        cls,
        model,
        positive: list,
        negative: list,
        latent_image: dict,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        denoise: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        return io.NodeOutput(
            sampling.sample(
                model,
                positive,
                negative,
                latent_image,
                seed=seed,
                steps=steps,
                cfg=cfg,
                sampler_name=sampler_name,
                scheduler=scheduler,
                denoise=denoise,
                mask=mask,
            )
        )


class SEINEScheduler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEScheduler",
            display_name="SEINE Scheduler",
            category="SEINE",
            description="The official timesteps as sigmas, for SamplerCustom and SamplerCustomAdvanced.",
            search_aliases=["seine sigmas", "respacing", "timesteps", "custom sampling"],
            inputs=[
                io.Model.Input("model", tooltip="SEINE."),
                io.Int.Input(
                    "steps",
                    default=DEFAULT_STEPS,
                    min=2,
                    max=1000,
                    tooltip="Denoising steps; first and last timestep are always among them.",
                ),
                io.Float.Input("denoise", default=1.0, min=0.0, max=1.0, step=0.01, tooltip=_DENOISE_TOOLTIP),
            ],
            outputs=[io.Sigmas.Output(tooltip="steps + 1 sigmas, ending in 0.")],
        )

    @classmethod
    @checked
    def execute(cls, model, steps: int, denoise: float) -> io.NodeOutput:
        return io.NodeOutput(sampling.seine_sigmas(model, steps, denoise))


class SEINESamplerDDPM(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINESamplerDDPM",
            display_name="SEINE DDPM Sampler",
            category="SEINE",
            description="The official ancestral sampler (fixed-large variance), for custom sampling.",
            search_aliases=["seine ddpm", "ancestral", "custom sampling"],
            inputs=[],
            outputs=[io.Sampler.Output(tooltip="For SamplerCustom and SamplerCustomAdvanced.")],
        )

    @classmethod
    @checked
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(sampling.seine_ddpm_sampler())


class SEINEGuidanceInterval(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEGuidanceInterval",
            display_name="SEINE Guidance Interval",
            category="SEINE",
            description=(
                "Use cfg in a part of the steps only. The others compute half as much: they leave out the negative "
                "prompt."
            ),
            search_aliases=["seine cfg", "guidance interval", "cfg range", "speed", "skip cfg"],
            inputs=[
                io.Model.Input("model", tooltip="SEINE."),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Where guidance begins: 0 is with the first step.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=0.7,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Where guidance ends: 1 is with the last step. The same as start_percent: no guidance.",
                ),
            ],
            outputs=[io.Model.Output(tooltip="SEINE, for any sampler or guider.")],
        )

    @classmethod
    @checked
    def execute(cls, model, start_percent: float, end_percent: float) -> io.NodeOutput:
        return io.NodeOutput(guidance.in_interval(model, start_percent, end_percent))
