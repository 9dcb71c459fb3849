"""Convolutions of channels-last maps, which know what is fast on the CPU."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .device_choices import are_few_pixels, is_small_map


@lru_cache(maxsize=8)
def convolution(operations: Any) -> type[nn.Conv2d]:
    """`operations.Conv2d`, faster with small maps on the CPU. For plain convolutions: one group, no dilation.

    It changes only what is computed of the weights, so that a host's own class goes on handing them over (casting,
    patching, offloading) as it does.
    """

    class Convolution(operations.Conv2d):
        def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            if not is_small_map(x):
                return super()._conv_forward(x, weight, bias)
            if are_few_pixels(x) and weight.is_contiguous():
                return _as_product(x, weight, bias, self.stride, self.padding)
            # Half the time of channels last.
            return super()._conv_forward(x.contiguous(), weight, bias).contiguous(memory_format=torch.channels_last)

    return Convolution


def _as_product(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """One matrix product, which reads the weights as they lie; oneDNN would first copy them into another order."""
    rows = F.pad(x.permute(0, 2, 3, 1), (0, 0, padding[1], padding[1], padding[0], padding[0]))
    patches = rows.unfold(1, weight.shape[2], stride[0]).unfold(2, weight.shape[3], stride[1])
    return F.linear(patches.flatten(3), weight.flatten(1), bias).permute(0, 3, 1, 2)
