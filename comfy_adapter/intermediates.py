"""What nodes hand on: on the device and in the dtype in which the host keeps it (--gpu-only, --fp16-intermediates)."""

from __future__ import annotations

import comfy.model_management
from torch import Tensor


def kept(values: Tensor) -> Tensor:
    """The values, where and as the host's own nodes leave latents, images and masks."""
    management = comfy.model_management
    return values.to(management.intermediate_device(), management.intermediate_dtype())
