"""Models of eight bits with scales: how near their clips are, and what the host does with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import comfy.sd
import torch
from comfy_extras.nodes_model_merging import ModelMergeSimple
from comfyui_seine.comfy_adapter import files, loading, merging, quantised, sampling
from comfyui_seine.seine_model.checkpoint import infer_config, read_checkpoint
from comfyui_seine.seine_model.conversion import convert

FRAMES, SIZE = 2, 8
SETTINGS = {"seed": 7, "steps": 2, "cfg": 5.0, "sampler_name": "ddim", "scheduler": "seine"}


def main() -> dict[str, Any]:
    files.register_folder()
    bundle = files.model_path("sample.safetensors")
    width = infer_config(*read_checkpoint(bundle)).cross_attention_dim
    texts = torch.randn(2, 1, 77, width, generator=torch.Generator().manual_seed(0))
    conds = [[[text, {}]] for text in texts]

    def run(model: Any) -> torch.Tensor:
        return sampling.sample(model, *conds, {"samples": torch.zeros(FRAMES, 4, SIZE, SIZE)}, **SETTINGS)["samples"]

    exact = loading.load_model(bundle, torch.float32)
    lora = lora_for(exact)
    expected = {"plain": run(exact), "lora": run(with_lora(exact, lora))}

    def error(found: torch.Tensor, name: str = "plain") -> float:
        return float((found - expected[name]).std() / expected[name].std())

    unscaled = loading.load_model(bundle, torch.float8_e4m3fn)
    report = {"lora alone": error(expected["lora"]), "fp8 without scales": error(run(unscaled))}
    for number_format in ("int8", "fp8_scaled"):
        path = bundle.with_name(f"{number_format}.safetensors")
        convert(bundle, path, number_format)
        model = loading.load_model(path)
        plain = run(model)

        def saved(chosen: Any, name: str, path: Path = path) -> Path:
            written = path.with_name(f"{name}-{path.name}")
            comfy.sd.save_checkpoint(str(written), chosen, metadata={})
            return written

        def change(found: torch.Tensor, plain: torch.Tensor = plain) -> float:
            return float((found - plain).abs().max())

        as_saved = saved(model, "saved")
        patched = with_lora(model, lora)
        found = {
            "size": model.model_size() / exact.model_size(),
            "plain": error(plain),
            "with a LoRA": error(run(patched), "lora"),
            "saved with a LoRA": error(run(loading.load_model(saved(patched, "lora"))), "lora"),
            "after the LoRA": change(run(model)),
            "in parts": change(run_in_parts(model, run)),
            "saved and loaded": change(run(loading.load_model(as_saved))),
            "saved as read": formats_in(as_saved) == formats_in(path),
            "merged by parts": error(run(merging.merge(model, exact, dict.fromkeys(merging.PARTS, 0.5)))),
            "as fp32": error(run(loading.load_model(path, torch.float32))),
            "held": held(model),
        }
        with patch.object(quantised, "QUANT_ALGOS", {}):
            old = loading.load_model(path)
        if number_format == "int8":
            found["merged"] = error(run(ModelMergeSimple().merge(model, exact, 0.5)[0]))
        report[number_format] = found | {"on a host without": error(run(old)), "held without": held(old)}
    return report


def lora_for(model: Any) -> dict[str, torch.Tensor]:
    """Of linear layers and convolutions."""
    generator = torch.Generator().manual_seed(5)
    lora = {}
    for key, value in model.model.diffusion_model.network.state_dict().items():
        if key.endswith((".attn1.to_q.weight", ".ff.net.2.weight", ".conv2.weight")):
            name = "lora_unet_" + key.removesuffix(".weight").replace(".", "_")
            down = 0.2 * torch.randn(4, *value.shape[1:], generator=generator)
            up = 0.2 * torch.randn(len(value), 4, *[1] * (value.ndim - 2), generator=generator)
            lora |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
    return lora


def with_lora(model: Any, lora: dict[str, torch.Tensor]) -> Any:
    return comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)[0]


def run_in_parts(model: Any, run: Any) -> torch.Tensor:
    """With half of the weights kept aside, as where memory is short."""
    model.partially_unload(model.offload_device, model.model_size() // 2)
    return run(model)


def formats_in(path: Path) -> dict[str, str]:
    """Of all tensors of eight bits, what they are."""
    tensors, _ = read_checkpoint(path)
    return {key: str(value.dtype) for key, value in tensors.items() if value.dtype.itemsize == 1}


def held(model: Any) -> list[str]:
    """What the weights of a convolution, an attention and the first layer are held as."""
    weights = model.model.diffusion_model.state_dict()
    names = ("input_blocks.1.0.in_layers.2", "input_blocks.1.1.transformer_blocks.0.attn1.to_q", "input_blocks.0.0")
    return [str(weights[f"{name}.weight"].dtype) for name in names]
