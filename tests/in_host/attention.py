"""Which attention the UNet uses in this host, on the CPU, where nothing was said on the command line."""

from __future__ import annotations

from typing import Any

import torch
from comfyui_seine.comfy_adapter import unet


def main() -> dict[str, Any]:
    q, k, v = torch.randn(3, 2, 40, 64).unbind()
    used: list[str] = []

    def recording(attention: Any) -> Any:
        def record(*args: Any, **kwargs: Any) -> torch.Tensor:
            used.append(attention.__name__)
            return attention(*args, **kwargs)

        return record

    fallback = unet.optimized_attention
    unet.attention_pytorch, unet.optimized_attention = map(recording, (unet.attention_pytorch, fallback))
    found = unet.host_attention(q, k, v, 4)
    unet._NONE_CHOSEN = False
    chosen = unet.host_attention(q, k, v, 4)
    used, plain = [], list(used)
    unet.attention_sage = unet.optimized_attention = recording(unet.attention_sage)
    for width in (128, 160):  # the host goes on with PyTorch's where the package is not there
        unet.host_attention(*torch.randn(3, 1, 20, width).unbind(), 1)
    difference = float((found - chosen).abs().max())
    return {"fallback": fallback.__name__, "used": plain, "with sage": used, "difference": difference}
