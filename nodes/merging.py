from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..comfy_adapter.merging import PARTS, merge
from .checked import checked

_WHAT = {
    "input": "the layers that take the latent in, and the time embedding",
    "middle": "the middle of the network",
    "output": "the layers that give the latent out",
    "temporal": "attention over frames, wherever it lies: how things move",
}


class SEINEModelMerge(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEModelMerge",
            display_name="SEINE Model Merge",
            category="SEINE",
            description="Two SEINE models as one, by parts of the network: how it looks, and how it moves.",
            search_aliases=["seine merge", "model merge blocks", "merge models", "mix models"],
            inputs=[
                io.Model.Input("model1", tooltip="SEINE. A share of 1 is all of this one."),
                io.Model.Input("model2", tooltip="SEINE of the same kind. A share of 0 is all of this one."),
                *(
                    io.Float.Input(
                        part, default=1.0, min=0.0, max=1.0, step=0.01, tooltip=f"Share of model1 in {_WHAT[part]}."
                    )
                    for part in PARTS
                ),
            ],
            outputs=[io.Model.Output(tooltip="Both in one, for samplers, LoRA loaders and savers.")],
        )

    @classmethod
    @checked
    def execute(cls, model1, model2, input: float, middle: float, output: float, temporal: float) -> io.NodeOutput:
        shares = {"input": input, "middle": middle, "output": output, "temporal": temporal}
        return io.NodeOutput(merge(model1, model2, shares))
