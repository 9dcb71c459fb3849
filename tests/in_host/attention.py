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
    return {
        "fallback": fallback.__name__,
        "used": plain,
        "with sage": list(used),
        "cuDNN": _by_cudnn(q, k, v),
        "difference": float((found - chosen).abs().max()),
    }


def _by_cudnn(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> dict[str, bool]:
    """Whether ours is asked, where cuDNN's would be the faster one, for what the user chose."""
    ours: list[str] = []
    unet.takes_cudnn = lambda q, k, heads: True
    unet.scaled_dot_product_attention = lambda q, k, v, heads: ours.append("ours") or q
    found = {}
    for name, attention, options in (
        ("PyTorch's", unet.attention_pytorch, {}),
        ("another", unet.attention_sub_quad, {}),
        ("an override", unet.attention_pytorch, {unet._OVERRIDE: lambda function, *args, **kwargs: args[0]}),
    ):
        ours.clear()
        unet.optimized_attention = attention
        unet.host_attention(q, k, v, 4, options)
        found[name] = bool(ours)
    return found
