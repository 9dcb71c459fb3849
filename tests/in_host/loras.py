"""LoRAs in every naming on a SEINE network and on Stable Diffusion 1.5's, both of full size and without values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_base
import comfy.model_detection
import comfy.sd
import torch
from comfy.hooks import EnumWeightTarget, HookGroup, WeightHook, create_target_dict
from comfy.model_patcher import ModelPatcher
from comfyui_seine.comfy_adapter.host_names import HostNames, unet_layout
from comfyui_seine.comfy_adapter.loras import prepare_loras
from comfyui_seine.comfy_adapter.model import SeineModel, SeineModelConfig
from comfyui_seine.seine_model.config import SeineConfig
from torch import Tensor

CONFIG = SeineConfig()
LAYERS = (".to_q", ".to_k", ".to_v", ".to_out.0", ".proj_in", ".proj_out", ".ff.net.0.proj", ".ff.net.2", ".conv1")
UP_DOWN = ("lora_up.weight", "lora_down.weight")
B_A = ("lora_B.weight", "lora_A.weight")


def flat(name: str) -> str:
    return name.replace(".", "_")


def processor(name: str) -> str:
    """As diffusers named attention when a LoRA was one of its processors."""
    return name.replace(".to_", ".processor.to_").replace("to_out.0", "to_out")


Naming = tuple[Callable[[str, str], str], str, str, str]
"""Prefix of a layer from its name in diffusers and in Stable Diffusion; what joins it; the two parts."""
NAMINGS: dict[str, Naming] = {
    "kohya, diffusers": (lambda d, s: f"lora_unet_{flat(d)}", ".", *UP_DOWN),
    "kohya, ldm": (lambda d, s: f"lora_unet_{flat(s)}", ".", *UP_DOWN),
    "diffusers processors": (lambda d, s: processor(d), "_", "lora.up.weight", "lora.down.weight"),
    "diffusers processors, `unet.`": (lambda d, s: f"unet.{processor(d)}", "_", "lora.up.weight", "lora.down.weight"),
    "SimpleTuner (LyCORIS)": (lambda d, s: f"lycoris_{flat(d)}", ".", *UP_DOWN),
    "PEFT, `unet.`": (lambda d, s: f"unet.{d}", ".", *B_A),
    "PEFT, `base_model.model.`": (lambda d, s: f"base_model.model.{d}", ".", *B_A),
    "PEFT, `base_model.model.unet.`": (lambda d, s: f"base_model.model.unet.{d}", ".", *B_A),
    "PEFT, processors": (lambda d, s: f"unet.{processor(d)}", ".", *B_A),
    "`unet.….lora.down`": (lambda d, s: f"unet.{d}", ".", "lora.up.weight", "lora.down.weight"),
    "transformers": (
        lambda d, s: f"unet.{processor(d)}",
        ".",
        "lora_linear_layer.up.weight",
        "lora_linear_layer.down.weight",
    ),
    "ComfyUI": (lambda d, s: f"diffusion_model.{s}", ".", *UP_DOWN),
    "ComfyUI, PEFT": (lambda d, s: f"diffusion_model.{s}", ".", *B_A),
}


def stable_diffusion() -> ModelPatcher:
    """The host's own model for Stable Diffusion 1.5."""
    config = comfy.model_detection.model_config_from_unet_config(
        {
            "image_size": 32,
            "use_spatial_transformer": True,
            "legacy": False,
            "in_channels": 4,
            "out_channels": 4,
            "model_channels": 320,
            "use_linear_in_transformer": False,
            "context_dim": 768,
            "num_heads": 8,
            "adm_in_channels": None,
            "use_temporal_attention": False,
            **unet_layout(CONFIG),
        }
    )
    return patcher_of(comfy.model_base.BaseModel(config, device="meta"))


def patcher_of(model: Any) -> ModelPatcher:
    return ModelPatcher(model, load_device=torch.device("cpu"), offload_device=torch.device("cpu"))


def lora_file(weights: dict[str, Tensor], naming: Naming, scale: int = 1) -> dict[str, Tensor]:
    """For `weights` by the reference's names, of the layers that real files have; `scale`: for a wider network."""
    prefix, join, up, down = naming
    names = HostNames(unet_layout(CONFIG)).to_host({key: key for key in weights})
    lora = {}
    for host, key in names.items():
        layer, kind = key.rsplit(".", 1)
        if kind != "weight" or "attn_temp" in layer or not layer.endswith(LAYERS):
            continue
        rows, columns, *kernel = weights[key].shape
        name = f"{prefix(layer, host.removesuffix('.weight'))}{join}"
        lora[name + up] = torch.empty(rows * scale, 4, *[1] * len(kernel), device="meta")
        lora[name + down] = torch.empty(4, columns * scale, *kernel, device="meta")
    return lora


def message(action: Callable[[], Any]) -> str:
    try:
        action()
    except ValueError as error:
        return str(error)
    return "no error"


def main() -> dict[str, Any]:
    seine = patcher_of(SeineModel(SeineModelConfig(CONFIG), device="meta"))
    prepare_loras(seine)
    other = stable_diffusion()
    weights = dict(seine.model.diffusion_model.network.state_dict())

    def applied(model: ModelPatcher, lora: dict[str, Tensor]) -> list[str]:
        """The keys patched through the stock loader, and through the host's hooks, which must be the same."""
        patched = comfy.sd.load_lora_for_models(model, None, dict(lora), 1.0, 0.0)[0]
        hook = WeightHook()
        hook.weights = dict(lora)
        hooked = model.clone()
        target = create_target_dict(EnumWeightTarget.Model)
        hook.add_hook_patches(hooked, {}, target, HookGroup())
        if list(hooked.hook_patches.get(hook.hook_ref, {})) != list(patched.patches):
            raise AssertionError("the host's hooks patch other keys")
        return sorted(patched.patches)

    found = {}
    for name, naming in NAMINGS.items():
        lora = lora_file(weights, naming)
        stock = applied(other, lora)
        ours = applied(seine, lora) if stock else message(lambda lora=lora: applied(seine, lora))
        found[name] = {"in the file": len(lora) // 2, "stock": stock, "seine": ours}

    kohya = NAMINGS["kohya, diffusers"]
    motion = "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.processor."
    refused = {
        "wider": lora_file(weights, kohya, scale=2),
        "AnimateDiff": {motion + f"to_q_lora.{part}.weight": torch.zeros(4, 4) for part in ("up", "down")},
        "text only": {f"lora_te_text_model_encoder_layers_0_mlp_fc1.{part}": torch.zeros(4, 4) for part in UP_DOWN},
    }
    temporal = "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn_temp.to_q."
    one = {temporal + UP_DOWN[0]: torch.zeros(320, 4), temporal + UP_DOWN[1]: torch.zeros(4, 320)}
    return {
        "namings": found,
        "refused": {name: message(lambda lora=lora: applied(seine.clone(), lora)) for name, lora in refused.items()},
        "stock on refused": {name: len(applied(other, lora)) for name, lora in refused.items()},
        "temporal": applied(seine, one),
        "not in seine": sorted(set(other.model.state_dict()) - set(seine.model.state_dict())),
    }
