from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..comfy_adapter.decoding import decode_frames


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
    def execute(cls, samples: dict, vae, frames_at_a_time: int, tiled: bool, tile_size: int) -> io.NodeOutput:
        return io.NodeOutput(decode_frames(vae, samples["samples"], frames_at_a_time, tile_size if tiled else None))
