from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..comfy_adapter.camera import with_camera
from .checked import checked


class SEINECamera(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        def way(name: str, default: float, tooltip: str) -> io.Float.Input:
            return io.Float.Input(name, default=default, min=-1.0, max=1.0, step=0.01, tooltip=tooltip)

        return io.Schema(
            node_id="SEINECamera",
            display_name="SEINE Camera",
            category="SEINE",
            description=(
                "Move the camera over the first given image: pan, tilt and zoom, together too. With all at 0 nothing "
                "changes."
            ),
            search_aliases=[
                *("seine", "camera", "camera motion", "pan", "tilt", "zoom", "ken burns"),
                *("运镜", "镜头运动", "平移", "推拉", "缩放"),
            ],
            inputs=[
                io.Conditioning.Input("positive", tooltip="From SEINE Image to Video, with an image."),
                io.Conditioning.Input("negative", tooltip="From the same node."),
                io.Vae.Input("vae", tooltip="The same VAE."),
                way("pan", 0.0, "To the right, to the left below 0; 1 is half a picture over the clip."),
                way("tilt", 0.0, "Up, down below 0; 1 is half a picture over the clip."),
                way("zoom", 0.5, "In, out below 0; 1 is twice as large at the end of the clip."),
                io.Float.Input(
                    "strength",
                    default=0.9,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip=(
                        "Share of the sampling in which the camera leads. Less leaves more motion of its own to the "
                        "clip, and less of the camera's; 1 is the moved still."
                    ),
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="positive with the camera."),
                io.Conditioning.Output(display_name="negative", tooltip="negative with the camera."),
            ],
        )

    @classmethod
    @checked
    def execute(
        cls, positive: list, negative: list, vae, pan: float, tilt: float, zoom: float, strength: float
    ) -> io.NodeOutput:
        prompts = {"positive": positive, "negative": negative}
        return io.NodeOutput(*with_camera(prompts, vae, pan, tilt, zoom, strength).values())
