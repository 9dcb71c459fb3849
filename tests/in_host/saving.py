"""What the host's savers write of a SEINE model with a LoRA on it, and what is in the file afterwards."""

from __future__ import annotations

from typing import Any

import comfy.cli_args
import comfy.model_management
import comfy.sd
import torch
from comfyui_seine.comfy_adapter import files, loading
from comfyui_seine.seine_model.reading import read_checkpoint


def main(folder: str, channels_last: bool, loaded: bool) -> dict[str, Any]:
    """The largest difference between each patched weight in the file and the weight with the LoRA, by kind of layer.

    `loaded`: the model is on its device with the LoRA in its weights; else the host computes each while it is written,
    as it does for all that does not fit.
    """
    files.register_folder()
    comfy.cli_args.args.force_channels_last = channels_last
    model = loading.load_model(files.model_path("sample.safetensors"), torch.float32)
    generator = torch.Generator().manual_seed(5)
    lora, expected = {}, {}
    for key, value in model.model.diffusion_model.network.state_dict().items():
        if key.endswith((".attn1.to_q.weight", ".conv2.weight", ".conv_shortcut.weight")):
            name = "lora_unet_" + key.removesuffix(".weight").replace(".", "_")
            ones = [1] * (value.ndim - 2)
            down = torch.randn(4, *value.shape[1:], generator=generator)
            up = torch.randn(value.shape[0], 4, *ones, generator=generator)
            lora |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(4.0)}
            expected[key] = value + (up.flatten(1) @ down.flatten(1)).view(value.shape)
    patched, _ = comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)
    path = f"{folder}/saved-{channels_last}.safetensors"
    if not loaded:
        comfy.model_management.load_models_gpu = lambda models: None
    comfy.sd.save_checkpoint(path, patched, metadata={})
    saved, facts = read_checkpoint(path)
    differences: dict[str, float] = {}
    for key, value in expected.items():
        kind = "linear" if value.ndim == 2 else f"convolution {value.shape[-1]}"
        found = float((saved[f"model.diffusion_model.{key}"] - value).abs().max())
        differences[kind] = max(found, differences.get(kind, 0.0))
    rotary = [value for key, value in saved.items() if key.endswith("freqs")]
    return {"differences": differences, "facts": sorted(facts), "rotary tables": len(rotary)}
