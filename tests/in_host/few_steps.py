"""A clip in four steps with a distilled LoRA, by the host's own loader, samplers and scheduler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.sd
import comfy.utils
import torch
from comfyui_seine.comfy_adapter import files, loading, sampling
from safetensors.torch import save_file

FRAMES, SIZE = 3, 8


def main(lora: str, target: str) -> dict[str, Any]:
    """Writes samples, and what the network was first shown, to `target`."""
    files.register_folder()
    model = loading.load_model(files.model_path("sample.safetensors"), torch.float32)
    patched = comfy.sd.load_lora_for_models(model, None, comfy.utils.load_torch_file(lora), 1.0, 0.0)[0]
    shown: list[dict[str, torch.Tensor]] = []

    def record(apply: Callable, call: dict[str, Any]) -> torch.Tensor:
        given = call["c"]
        shown.append({"start": call["input"], "given": given["c_concat"], "context": given["c_crossattn"]})
        return apply(call["input"], call["timestep"], **given)

    patched.set_model_unet_function_wrapper(record)
    width = model.model.diffusion_model.network.config.cross_attention_dim
    cond = [[torch.randn(1, 77, width, generator=torch.Generator().manual_seed(0)), {}]]
    made = {}
    for name in ("euler", "ddim"):
        latent = {"samples": torch.zeros(FRAMES, 4, SIZE, SIZE)}
        settings = {"seed": 7, "steps": 4, "cfg": 1.0, "sampler_name": name, "scheduler": "simple"}
        samples = sampling.sample(patched, cond, cond, latent, **settings)["samples"]
        made[name] = model.model.process_latent_in(samples)
    save_file({key: value.float().cpu().contiguous() for key, value in (made | shown[0]).items()}, target)
    return {"patched": len(patched.patches), "predictions": len(shown), "rows": len(shown[0]["start"])}
