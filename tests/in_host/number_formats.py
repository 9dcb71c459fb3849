"""Samples with every weight_dtype: how far they are from float32's, and what the network computes in."""

from __future__ import annotations

from typing import Any

import torch
from comfyui_seine.comfy_adapter import loading, sampling
from comfyui_seine.comfy_adapter.files import model_path, register_folder

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
    return {"errors": errors, "computes in": computes_in, "processor has bfloat16": loading.cpu_has_bfloat16()}
