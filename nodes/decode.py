from __future__ import annotations

import torch
from comfy_api.v0_0_2 import io

from ..comfy_adapter.decoding import decode_frames
from ..comfy_adapter.video import latent_video
from ..seine_model.colour import match_colours
from .checked import checked


class SEINEVAEDecode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEVAEDecode",
            display_name="SEINE VAE Decode (video)",
            category="SEINE",
            description="Decode a clip a few frames at a time, so that long clips fit into memory.",
            search_aliases=["seine decode", "vae decode", "latent to video", "latent to images"],
            inputs=[
                io.Latent.Input("samples", tooltip="The clip, frames as batch."),
                io.Vae.Input("vae", tooltip="The VAE the keyframes were encoded with."),
                io.Int.Input(
                    "frames_at_a_time",
                    default=8,
                    min=1,
                    max=4096,
                    tooltip="Frames decoded together. Lower it where memory runs out; the result is the same.",
                ),
                io.Boolean.Input("tiled", default=False, tooltip="Decode each frame in tiles, for very large frames."),
                io.Int.Input("tile_size", default=512, min=128, max=4096, step=32, tooltip="Side of a tile in pixels."),
            ],
            outputs=[io.Image.Output(tooltip="The frames, for Create Video, upscaling or interpolation.")],
        )

    @classmethod
    @checked
    def execute(cls, samples: dict, vae, frames_at_a_time: int, tiled: bool, tile_size: int) -> io.NodeOutput:
        return io.NodeOutput(decode_frames(vae, samples["samples"], frames_at_a_time, tile_size if tiled else None))


class SEINEDecodeToVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEDecodeToVideo",
            display_name="SEINE Decode to Video",
            category="SEINE",
            description=(
                "A video of any length for Save Video: its frames are decoded a few at a time while they are written, "
                "so that memory does not grow with the film."
            ),
            search_aliases=["seine video", "create video", "long video", "latent to video", "streaming", "film"],
            inputs=[
                io.Latent.Input("samples", tooltip="The film, frames as batch."),
                io.Vae.Input("vae", tooltip="The VAE the keyframes were encoded with."),
                io.Float.Input("fps", default=8.0, min=0.1, max=240.0, step=0.1, tooltip="Frames per second."),
                io.Int.Input(
                    "frames_at_a_time",
                    default=8,
                    min=1,
                    max=4096,
                    tooltip="Frames decoded together. Lower it where memory runs out; the result is the same.",
                ),
                io.Audio.Input("audio", optional=True, tooltip="Sound of the video, from its first frame on."),
            ],
            outputs=[io.Video.Output(tooltip="For Save Video, and nodes that take a video.")],
        )

    @classmethod
    @checked
    def execute(cls, samples: dict, vae, fps: float, frames_at_a_time: int, audio: dict | None = None) -> io.NodeOutput:
        return io.NodeOutput(latent_video(vae, samples["samples"], fps, frames_at_a_time, audio))


class SEINEMatchColors(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEMatchColors",
            display_name="SEINE Match Colors",
            category="SEINE",
            description=(
                "Bring colour and exposure of new frames to those of the frames they join. For clips that were "
                "continued from images; where latents were continued there is nothing to match."
            ),
            search_aliases=["seine colour", "color match", "exposure", "seam", "color transfer", "reinhard"],
            inputs=[
                io.Image.Input("images", tooltip="The new frames."),
                io.Image.Input("reference", tooltip="The frames they join."),
                io.Combo.Input(
                    "reference_is",
                    options=["before", "after"],
                    default="before",
                    tooltip="Whether the reference comes before the new frames or after them.",
                ),
                io.Int.Input(
                    "frames", default=1, min=1, max=64, tooltip="How many frames on each side of the seam are compared."
                ),
                io.Float.Input(
                    "strength", default=1.0, min=0.0, max=1.0, step=0.05, tooltip="0 changes nothing, 1 matches fully."
                ),
            ],
            outputs=[io.Image.Output(tooltip="The new frames in the colours of the reference.")],
        )

    @classmethod
    @checked
    def execute(
        cls, images: torch.Tensor, reference: torch.Tensor, reference_is: str, frames: int, strength: float
    ) -> io.NodeOutput:
        return io.NodeOutput(match_colours(images, reference, frames, reference_is == "before", strength))
