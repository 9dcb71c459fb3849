from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..comfy_adapter import motion as more_motion
from .checked import checked


class SEINEMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEMotion",
            display_name="SEINE Motion",
            category="SEINE",
            description=(
                "More motion in the clip: steps are guided away from slow motion. A given first frame stays as it is."
            ),
            search_aliases=[
                *("seine", "motion", "motion strength", "motion bucket", "dynamic degree", "more movement", "speed"),
                *("运动幅度", "运动强度", "动态"),
            ],
            inputs=[
                io.Model.Input("model", tooltip="SEINE."),
                io.Float.Input(
                    "motion",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How much is added: 0 is nothing, as without it; 1 is half as much again.",
                ),
                io.Float.Input(
                    "guidance",
                    default=2.0,
                    min=0.0,
                    max=more_motion.STRONGEST,
                    step=0.1,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "How strongly steps are guided away from slow motion at motion 1. Costs one more prediction in "
                        "these steps; more than 3 harms what is shown."
                    ),
                ),
                io.Float.Input(
                    "end_percent",
                    default=0.6,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    advanced=True,
                    tooltip="Where guidance ends: motion is decided early. 1 is with the last step.",
                ),
            ],
            outputs=[io.Model.Output(tooltip="SEINE that moves more, for any sampler.")],
        )

    @classmethod
    @checked
    def execute(cls, model, motion: float, guidance: float = 2.0, end_percent: float = 0.6) -> io.NodeOutput:
        return io.NodeOutput(more_motion.with_motion(model, motion, guidance, end_percent))
