"""The UNet in each number format on a device, as the loaders make it, with weights that nothing was put into."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import comfy.model_management
import comfy.model_patcher
import torch
from comfy.cli_args import PerformanceFeature
from comfyui_seine.comfy_adapter import control
from comfyui_seine.comfy_adapter.model import SeineModel, SeineModelConfig
from comfyui_seine.comfy_adapter.quantised import operations_for
from comfyui_seine.seine_model.config import SeineConfig
from comfyui_seine.seine_model.quantised import FORMAT_KEY, STORED, Scale
from comfyui_seine.seine_model.quantising import is_rounded, scale_of
from comfyui_seine.seine_model.stored import ROUNDED
from comfyui_seine.seine_model.unet import SeineUNet3D
from comfyui_seine.tools.hosting.posing_device import CARD, host_with_card
from torch import Tensor
from torch._subclasses.fake_tensor import unset_fake_temporarily

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "fp8_e4m3fn": torch.float8_e4m3fn}
FULL = SeineConfig()


@cache
def patcher_of(dtype: str, fp8_products: bool = False, device: torch.device = CARD, layout: SeineConfig = FULL) -> Any:
    """The model on the card, as the loaders make it."""
    if fp8_products:
        fast = {PerformanceFeature.Fp8MatrixMultiplication}
        with host_with_card(comfy.model_management, capability=(8, 9), fast=fast):
            return patcher_of.__wrapped__(dtype)
    management = comfy.model_management
    config, weights = SeineModelConfig(layout), {}
    if dtype in ROUNDED:
        scales, weights = _eight_bits(layout, ROUNDED[dtype], device)
        config.custom_operations = operations_for(scales, torch.float16, device)
        config.set_inference_dtype(torch.float16, torch.float16)
    else:
        config.set_inference_dtype(DTYPES[dtype], management.unet_manual_cast(DTYPES[dtype], device))
    model = SeineModel(config, device=device)
    if weights:
        model.load_model_weights(weights, "")
    model.model_sampling.to(device)
    patcher = comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=device)
    control.prepare_controls(patcher)
    return patcher


def _eight_bits(config: SeineConfig, kind: str, device: torch.device) -> tuple[dict[str, Scale], dict[str, Tensor]]:
    """Scales of the weights that a file in eight bits holds in them, and all that is in the file, on the card."""
    scales, weights = {}, {}
    for key, like in SeineUNet3D(config, device="meta").state_dict().items():
        value = torch.zeros(like.shape, dtype=torch.float16, device=device)
        if is_rounded(key, value):
            scales[key], value = scale_of(value, kind), value.to(STORED[kind])
            layer = key.removesuffix(".weight")
            weights |= scales[key].tensors(layer) | {f"{layer}.{FORMAT_KEY}": _text(scales[key])}
        weights[key] = value
    return scales, weights


def _text(scale: Scale) -> SimpleNamespace:
    """The bytes that name a layer's format, which have to be values."""
    with unset_fake_temporarily():
        text = bytes(scale.tensors("")[f".{FORMAT_KEY}"].tolist())
    return SimpleNamespace(numpy=lambda: memoryview(text), tolist=lambda: list(text))
