"""Which attention the UNet uses in this host, on the CPU, where nothing was said on the command line."""

from __future__ import annotations

from typing import Any

import torch
from comfyui_seine.comfy_adapter import unet


def main() -> dict[str, Any]:
    q, k, v = torch.randn(3, 2, 40, 64).unbind()
    used = []

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
    return {"fallback": fallback.__name__, "used": used, "difference": float((found - chosen).abs().max())}
