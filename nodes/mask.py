from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..comfy_adapter.keyframes import build_mask
from ..seine_model.masks import MODES
from .checked import checked


class SEINEMaskBuilder(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEMaskBuilder",
            display_name="SEINE Mask Builder",
            category="SEINE",
            description="Choose which frames of the clip are given (black) and which SEINE generates (white).",
            search_aliases=["seine mask", "frame mask", "keyframe mask", "关键帧遮罩"],
            inputs=[
                io.Combo.Input(
                    "mode",
                    options=list(MODES),
                    default="first frames",
                    tooltip=(
                        "Which frames are given: the first (image to video), both ends (transition), the last, none "
                        "(text to video), or the listed ones."
                    ),
                ),
                io.Int.Input(
                    "count",
                    default=1,
                    min=1,
                    max=512,
                    tooltip="How many frames are given at each chosen end (not for text to video, custom keyframes).",
                ),
                io.String.Input(
                    "indices",
                    default="0, 15",
                    tooltip=(
                        "Custom keyframes only: the given frames, counted from 0, such as 0, 7, 15 or 0-3, 15. "
                        "Negative ones count from the end."
                    ),
                ),
                io.Int.Input(
                    "frames",
                    default=16,
                    min=1,
                    max=4096,
                    tooltip="Length of the clip. SEINE was trained on 16; use context windows for long ones.",
                ),
                *(
                    io.Int.Input(
                        name,
                        default=default,
                        min=8,
                        max=8192,
                        step=8,
                        advanced=True,
                        tooltip=f"{side} of the mask in pixels, for what shows or stores it; the clip has its own.",
                    )
                    for name, side, default in (("width", "Width", 560), ("height", "Height", 240))
                ),
            ],
            outputs=[io.Mask.Output(tooltip="One mask per frame: 1 = generate, 0 = keep.")],
        )

    @classmethod
    @checked
    def execute(cls, mode: str, count: int, indices: str, frames: int, width: int, height: int) -> io.NodeOutput:
        return io.NodeOutput(build_mask(mode, count, indices, frames, width, height))
