from __future__ import annotations

import torch
from comfy_api.v0_0_2 import io

from ..comfy_adapter.gif import save_gif
from .checked import checked


class SEINESaveGIF(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINESaveGIF",
            display_name="SEINE Save GIF",
            category="SEINE",
            description=(
                "Save frames as an animated GIF, which plays anywhere. Save Video gives smaller and better files, and "
                "keeps the workflow in them; a GIF cannot."
            ),
            search_aliases=["seine gif", "save gif", "animated gif", "gif"],
            inputs=[
                io.Image.Input("images", tooltip="The frames."),
                io.String.Input(
                    "filename_prefix",
                    default="video/SEINE",
                    tooltip="Folder below the output folder, and how the file's name begins. A number is added.",
                ),
                io.Float.Input(
                    "fps",
                    default=8.0,
                    min=0.1,
                    max=50.0,
                    step=0.1,
                    tooltip="Frames per second. Browsers play no GIF faster than 50.",
                ),
                io.Boolean.Input(
                    "dither",
                    default=True,
                    tooltip="Mix the 256 colours a GIF has, dot by dot. Off: bands of colour, but a smaller file.",
                ),
            ],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    @checked
    def execute(cls, images: torch.Tensor, filename_prefix: str, fps: float, dither: bool) -> io.NodeOutput:
        return io.NodeOutput(ui=save_gif(images, fps, filename_prefix, dither))
