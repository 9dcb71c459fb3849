from __future__ import annotations

import torch
from comfy_api.v0_0_2 import io

from ..comfy_adapter import keyframes as clip_keyframes
from ..seine_model.preprocessing import RESIZE_MODES
from .checked import checked


class SEINEImageToVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEImageToVideo",
            display_name="SEINE Image to Video",
            category="SEINE",
            description=(
                "Put keyframe images where the mask keeps frames, and make the latent to sample: image to video, "
                "transitions, or, without keyframes, text to video."
            ),
            search_aliases=["seine", "i2v", "image to video", "transition", "keyframes", "text to video"],
            inputs=[
                io.Conditioning.Input("positive", tooltip="What the clip shows."),
                io.Conditioning.Input("negative", tooltip="What to avoid; an empty prompt is the usual choice."),
                io.Vae.Input("vae", tooltip="The Stable Diffusion 1.x VAE that goes with the model."),
                io.Mask.Input("mask", tooltip="Which frames are given, from SEINE Mask Builder."),
                io.Int.Input("width", default=560, min=8, max=8192, step=8, tooltip="Width of the clip in pixels."),
                io.Int.Input("height", default=240, min=8, max=8192, step=8, tooltip="Height of the clip in pixels."),
                io.Combo.Input(
                    "resize_mode",
                    options=list(RESIZE_MODES),
                    default="stretch",
                    tooltip=(
                        "How keyframes of another size fit: stretch (as the official code does), crop the sides, or "
                        "pad with black bars."
                    ),
                ),
                io.Int.Input("batch_size", default=1, min=1, max=64, tooltip="How many clips to make at once."),
                io.Image.Input(
                    "keyframes",
                    optional=True,
                    tooltip=(
                        "One image per given frame, in order. One image also fills several given frames at one end, "
                        "two fill both ends."
                    ),
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="positive with the keyframes."),
                io.Conditioning.Output(display_name="negative", tooltip="negative with the keyframes."),
                io.Latent.Output(display_name="latent", tooltip="An empty latent, frames as batch."),
            ],
        )

    @classmethod
    @checked
    def execute(
        cls,
        positive: list,
        negative: list,
        vae,
        mask: torch.Tensor,
        width: int,
        height: int,
        resize_mode: str,
        batch_size: int,
        keyframes: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        clip_keyframes.check_size(width, height)
        frames = clip_keyframes.frame_values(mask)
        latents = clip_keyframes.encode_keyframes(vae, frames, keyframes, width, height, resize_mode)
        return io.NodeOutput(
            clip_keyframes.attach(positive, frames, latents),
            clip_keyframes.attach(negative, frames, latents),
            {"samples": torch.zeros_like(latents).repeat(batch_size, 1, 1, 1)},
        )
