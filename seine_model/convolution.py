"""Convolutions of channels-last maps, which know what is fast on which device."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import fused
from .device_choices import convolves_as_product, convolves_in_plain_order, doubles_within
from .fused import PLAIN
from .lending import is_replaced, lender
from .products import is_plain


@lru_cache(maxsize=8)
def convolution(operations: Any) -> type[nn.Conv2d]:
    """`operations.Conv2d`, faster with small maps on the CPU, and on cards without a pass for the bias alone.

    For plain convolutions: one group, no dilation. `forward` changes only what is computed of the weights, so that a
    host's own class goes on handing them over (casting, patching, offloading) as it does; see `lending` for the rest.
    """
    lent = lender(operations)

    class Convolution(operations.Conv2d):
        def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            if convolves_as_product(x, weight):
                return _as_product(x, weight, bias, self.stride, self.padding)
            if fused.are_ready(x) and type(weight) in PLAIN and weight.dtype == x.dtype and weight.is_contiguous():
                weight = fused.channels_last(weight)
            if not convolves_in_plain_order(x, len(weight)):
                return super()._conv_forward(x, weight, bias)
            # Half the time of channels last.
            return super()._conv_forward(x.contiguous(), weight, bias).contiguous(memory_format=torch.channels_last)

        def to_be_added(self, x: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
            """The convolution of x, and ``[videos or rows, channels]`` that is still to be added to it, as `added`."""
            if not fused.are_ready(x) or is_replaced(self):
                return self(x), added
            with lent(self, x) as (weight, bias):
                return self._conv_forward(x, weight, None), added + bias

        def onto(self, x: Tensor, residual: Tensor) -> Tensor:
            """The convolution of x plus `residual`."""
            if not fused.are_ready(x) or is_replaced(self):
                return self(x) + residual
            residual = residual.contiguous(memory_format=torch.channels_last)
            with lent(self, x) as (weight, bias):
                out = self._conv_forward(x, weight, None).contiguous(memory_format=torch.channels_last)
                fused.add_up_(out.permute(0, 2, 3, 1), residual.permute(0, 2, 3, 1), bias.contiguous())
            return out

        def doubled(self, x: Tensor) -> Tensor:
            """The convolution, 3x3, of x doubled by repeating every pixel."""
            if not (fused.are_ready(x) and doubles_within(x) and is_plain(self, x)):
                return self(F.interpolate(x, scale_factor=2.0, mode="nearest"))
            # Of nine products five would be of a pixel that another one is of as well.
            x = x.contiguous(memory_format=torch.channels_last)
            with lent(self, x) as (weight, bias):
                quarters = F.conv2d(x, fused.quarters(weight), padding=1).permute(0, 2, 3, 1).contiguous()
                return fused.interleave(quarters, bias.contiguous()).permute(0, 3, 1, 2)

    return Convolution


def _as_product(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """One matrix product, which reads the weights as they lie; oneDNN would first copy them into another order."""
    rows = x.permute(0, 2, 3, 1)
    if weight.shape[2:] != (1, 1):
        rows = F.pad(rows, (0, 0, padding[1], padding[1], padding[0], padding[0]))
        rows = rows.unfold(1, weight.shape[2], stride[0]).unfold(2, weight.shape[3], stride[1]).flatten(3)
    return F.linear(rows, weight.flatten(1), bias).permute(0, 3, 1, 2)
