from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..comfy_adapter import files, loading
from .checked import FileName, checked

_MODEL_NAME_TOOLTIP = (
    "The SEINE checkpoint: the published seine.pt or a .safetensors conversion, in models/seine (also found in "
    "models/diffusion_models and models/checkpoints)."
)
_WEIGHT_DTYPE_TOOLTIP = (
    "How the weights are stored. default: what suits this device. fp16 or bf16: 1.8 GB; on CPUs that have bf16 it is "
    "twice as fast as fp32. fp8: 0.9 GB; e4m3fn costs little quality, e5m2 much more. fp32: exact, 3.6 GB. "
    "Files in int8 or scaled fp8 (0.9 GB) stay so with default."
)


def _weight_dtype_input() -> io.Combo.Input:
    return io.Combo.Input(
        "weight_dtype", options=list(loading.WEIGHT_DTYPES), default="default", tooltip=_WEIGHT_DTYPE_TOOLTIP
    )


class SEINEModelLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEModelLoader",
            display_name="Load SEINE Model",
            category="SEINE",
            description="Load SEINE's video UNet alone, for use with a CLIP and VAE loaded elsewhere.",
            search_aliases=["seine", "load video model", "load diffusion model"],
            inputs=[
                FileName("model_name", options=files.model_names(), tooltip=_MODEL_NAME_TOOLTIP),
                _weight_dtype_input(),
            ],
            outputs=[io.Model.Output(tooltip="SEINE, for any sampler.")],
        )

    @classmethod
    def fingerprint_inputs(cls, model_name: str | None = None, weight_dtype: str | None = None) -> str | None:
        return files.version_of(model_name)

    @classmethod
    @checked
    def execute(cls, model_name: str, weight_dtype: str) -> io.NodeOutput:
        return io.NodeOutput(loading.load_model(files.model_path(model_name), loading.WEIGHT_DTYPES[weight_dtype]))


class SEINECheckpointLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINECheckpointLoader",
            display_name="Load SEINE Checkpoint",
            category="SEINE",
            description=(
                "Load SEINE with its text encoder and VAE: from one bundled file, or the published checkpoint plus a "
                "Stable Diffusion 1.4 or 1.5 base."
            ),
            search_aliases=["seine", "load checkpoint", "load video model"],
            inputs=[
                FileName("model_name", options=files.model_names(), tooltip=_MODEL_NAME_TOOLTIP),
                FileName(
                    "base_name",
                    options=files.base_names(),
                    default=files.BUNDLED,
                    tooltip=(
                        "Where the text encoder and VAE come from. bundled: the SEINE file itself. Otherwise a Stable "
                        "Diffusion 1.4 or 1.5 file in models/checkpoints or diffusers folder in models/diffusers."
                    ),
                ),
                _weight_dtype_input(),
            ],
            outputs=[
                io.Model.Output(tooltip="SEINE, for any sampler."),
                io.Clip.Output(tooltip="The text encoder, for CLIP Text Encode."),
                io.Vae.Output(tooltip="The VAE, for keyframes and decoding."),
            ],
        )

    @classmethod
    def fingerprint_inputs(
        cls, model_name: str | None = None, base_name: str | None = None, weight_dtype: str | None = None
    ) -> str | None:
        return files.version_of(model_name, base_name)

    @classmethod
    @checked
    def execute(cls, model_name: str, base_name: str, weight_dtype: str) -> io.NodeOutput:
        base = None if base_name == files.BUNDLED else files.base_path(base_name)
        return io.NodeOutput(
            *loading.load_bundle(files.model_path(model_name), base, loading.WEIGHT_DTYPES[weight_dtype])
        )
