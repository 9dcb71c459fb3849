"""Samples with every weight_dtype: how far they are from float32's, and what the network computes in."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import comfy.model_management
import torch
from comfyui_seine.comfy_adapter import loading, sampling, weights
from comfyui_seine.comfy_adapter.files import model_path, register_folder
from comfyui_seine.seine_model.conversion import convert

FRAMES, SIZE = 4, 8


def main() -> dict[str, Any]:
    register_folder()
    path = model_path("sample.safetensors")
    _, clip, _ = loading.load_bundle(path, None)
    conds = [[[clip.encode_from_tokens(clip.tokenize(text)), {}]] for text in ("a red ball moves left", "")]
    settings = {"seed": 7, "steps": 3, "cfg": 5.0, "sampler_name": "ddim", "scheduler": "seine"}
    samples, computes_in = {}, {}
    for name, dtype in loading.WEIGHT_DTYPES.items():
        model = loading.load_model(path, dtype)
        model.model.diffusion_model.network.time_embedding.linear_1.register_forward_hook(
            lambda _, inputs, out, name=name: computes_in.update({name: str(out.dtype)})
        )
        samples[name] = sampling.sample(model, *conds, {"samples": torch.zeros(FRAMES, 4, SIZE, SIZE)}, **settings)[
            "samples"
        ]
    exact = samples["fp32"]
    errors = {name: float((sample - exact).std() / exact.std()) for name, sample in samples.items()}
    facts = {"without fp8": without_fp8(path)}
    return facts | {"errors": errors, "computes in": computes_in, "processor has bfloat16": weights.cpu_has_bfloat16()}


def without_fp8(path: Path) -> dict[str, Any]:
    """On a device that cannot hold fp8, as Apple's: in what a file in scaled fp8 is held, what asking for fp8 says."""
    wide, held = [torch.float32, torch.float16, torch.bfloat16], {}
    with TemporaryDirectory() as folder:
        file = Path(folder, "fp8_scaled.safetensors")
        convert(path, file, "fp8_scaled")
        with mock.patch.object(comfy.model_management, "supports_cast", lambda device, dtype: dtype in wide):
            held["scaled"] = sorted({str(value.dtype) for value in loading.load_model(file).model.parameters()})
            try:
                loading.load_model(path, torch.float8_e4m3fn)
            except ValueError as error:
                held["asked for"] = str(error)
        kinds = {type(value.data).__name__ for value in loading.load_model(file).model.parameters()}
    return held | {"with fp8": sorted(kinds)}
