from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..comfy_adapter.prompts import travel
from .checked import checked

_EXAMPLE = "0: a red ball moves right over a green field\n15: a blue ball moves right over a green field"


class SEINEPromptTravel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEPromptTravel",
            display_name="SEINE Prompt Travel",
            category="SEINE",
            description="A prompt that changes along the clip: one line for each frame at which another prompt begins.",
            search_aliases=[
                "seine prompt",
                "prompt travel",
                "prompt schedule",
                "batch prompt",
                "keyframe prompt",
                "提示词调度",
            ],
            inputs=[
                io.Clip.Input("clip", tooltip="Reads the prompts: the CLIP of the same checkpoint."),
                io.String.Input(
                    "prompts",
                    multiline=True,
                    dynamic_prompts=True,
                    default=_EXAMPLE,
                    tooltip="In each line a frame, a colon and its prompt. Frames count from 0, or from -1 at the end.",
                ),
                io.Int.Input(
                    "frames", default=16, min=1, max=4096, tooltip="Length of the clip, as in the mask builder."
                ),
                io.Combo.Input(
                    "between",
                    options=["blend", "hold"],
                    default="blend",
                    tooltip="Between two prompts: blend one into the other, or hold each until the next one's frame.",
                ),
            ],
            outputs=[io.Conditioning.Output(tooltip="One embedding per frame, for SEINE Image to Video or a sampler.")],
        )

    @classmethod
    @checked
    def execute(cls, clip, prompts: str, frames: int, between: str) -> io.NodeOutput:
        return io.NodeOutput(travel(clip, prompts, frames, between == "blend"))
