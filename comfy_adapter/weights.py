"""In what a model's weights are held, and in what they are computed with."""

from __future__ import annotations

from typing import Any

import comfy.model_management as management
import torch
from torch import Tensor

from ..seine_model.file_kinds import CheckpointError
from ..seine_model.quantised import Scale, dequantised
from ..seine_model.reading import listed, unusable_values
from .quantised import operations_for

PLAIN_DTYPES = (torch.float16, torch.bfloat16, torch.float32)
SMALLEST_PAGED = 16 * 1024
"""Bytes of a layer, above which the host pages it in."""
STORED_BY = "conv_in"
"""The layer by whose dtype a file is taken to be stored in one, also one that was saved of this model."""


def prepare_weights(
    weights: dict[str, Tensor],
    scales: dict[str, Scale],
    name: str,
    weight_dtype: torch.dtype | None,
    model_config: Any,
    device: torch.device,
) -> dict[str, Tensor]:
    """What the model is to load of the weights of a file called `name`; None for what its `weight_dtype` says.

    `model_config` is told in what they are held and computed with. Raises CheckpointError for a dtype that is too
    narrow for them, or that the device has not.
    """
    supported = list(PLAIN_DTYPES)
    if scales and weight_dtype is None and all(_holds(device, value) for value in weights.values()):
        computed = management.unet_manual_cast(None, device, supported)
        operations = operations_for(scales, computed, device)
        if operations is not None:
            model_config.custom_operations = operations
            model_config.set_inference_dtype(computed, computed)
            beside = (scale.tensors(key.removesuffix(".weight")) for key, scale in scales.items())
            return weights | {key: value for tensors in beside for key, value in tensors.items()}
    if weight_dtype is None:
        parameters = sum(value.numel() for value in weights.values())
        stored = weights[f"{STORED_BY}.weight"].dtype
        weight_dtype = management.unet_dtype(model_params=parameters, supported_dtypes=supported, weight_dtype=stored)
        weight_dtype = weight_dtype if management.supports_cast(device, weight_dtype) else torch.float16
    if not management.supports_cast(device, weight_dtype):
        raise CheckpointError(
            f"weight_dtype: {device} has no {str(weight_dtype).removeprefix('torch.')}: choose default or fp16."
        )
    weights = {key: dequantised(value, scales.get(key)) for key, value in weights.items()}
    _check_range(weights, name, weight_dtype)
    model_config.set_inference_dtype(weight_dtype, _cast_dtype(weight_dtype, device, supported))
    return weights


def small_as_computed(weights: dict[str, Tensor], network: torch.nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights of a network, those of its small layers in the dtype that is computed in.

    Where the host pages weights in it has these on the card as they come, and would cast each anew in every step.
    """
    found = dict(weights)
    for name, _ in network.named_modules():
        if name == STORED_BY:
            continue
        own = {key: weights[key] for key in (f"{name}.weight", f"{name}.bias") if key in weights}
        size = dtype.itemsize * sum(value.numel() for value in own.values())
        if size <= SMALLEST_PAGED and all(value.dtype in PLAIN_DTYPES for value in own.values()):
            found |= {key: value.to(dtype) for key, value in own.items()}
    return found


def _holds(device: torch.device, weight: Tensor) -> bool:
    return not weight.is_floating_point() or management.supports_cast(device, weight.dtype)


def _check_range(weights: dict[str, Tensor], name: str, dtype: torch.dtype) -> None:
    """CheckpointError for weights that become infinite in the dtype they are to be held in."""
    too_large = unusable_values(weights, torch.finfo(dtype).max)
    if too_large:
        raise CheckpointError(
            f"weight_dtype: {str(dtype).removeprefix('torch.')} is too narrow for model_name {name}, where "
            f"{listed(too_large)}: choose bf16 or fp32."
        )


def _cast_dtype(weight_dtype: torch.dtype, device: torch.device, supported: list[torch.dtype]) -> torch.dtype | None:
    """What weights are cast to where they are used; None where they are computed with as they are stored.

    The host takes every CPU for slow in bfloat16. With the instructions for it, bf16 takes half the time of fp32.
    """
    if weight_dtype == torch.bfloat16 and management.is_device_cpu(device) and cpu_has_bfloat16():
        return None
    return management.unet_manual_cast(weight_dtype, device, supported)


def cpu_has_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16, as far as this PyTorch can tell."""
    return any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
