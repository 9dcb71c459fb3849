"""GroupNorm of channels-last maps ``[videos*frames, channels, h, w]``, over each frame or all frames of a video.

To PyTorch's on the CPU all frames of a video are a view. CUDA's takes plain order alone: a map is copied there, and
what follows copies it back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import fused
from .device_choices import normalises_as_it_lies, puts_in_order
from .lending import is_replaced, lender


@lru_cache(maxsize=8)
def group_norm(operations: Any) -> type[nn.GroupNorm]:
    """`operations.GroupNorm` with statistics over so many frames together, or of each by itself.

    Where PyTorch's is not used the layer's weights are asked for, see `lending`.
    """
    lent = lender(operations)

    class GroupNorm(operations.GroupNorm):
        def forward(
            self, x: Tensor, frames: int | None = None, activate: bool = False, added: Tensor | None = None
        ) -> Tensor:
            """`activate`: SiLU follows. `added`: ``[videos or rows, channels]``, is added to x first."""
            own = fused.are_ready(x)
            if added is not None and not own:
                x = x + added.repeat_interleave(len(x) // len(added), 0)[:, :, None, None]
            if own or normalises_as_it_lies(x):
                with lent(self, x) as (weight, bias):
                    given = x, frames or 1, self.num_groups, weight, bias, self.eps
                    out = in_one(*given, activate, added) if own else normalised(*given)
                return silu_(out) if activate and not own else out
            out = norm_all_frames(super().forward, x, frames) if frames else super().forward(x)
            out = silu_(out) if activate else out
            return out.contiguous(memory_format=torch.channels_last) if puts_in_order(x) else out

    return GroupNorm


@lru_cache(maxsize=8)
def layer_norm(operations: Any) -> type[nn.LayerNorm]:
    """`operations.LayerNorm`, in one pass with the sum before it where there is a kernel for that."""
    lent = lender(operations)

    class LayerNorm(operations.LayerNorm):
        def forward(self, x: Tensor) -> Tensor:
            if not fused.are_ready(x):
                return super().forward(x)
            with lent(self, x) as (weight, bias):
                return fused.layer_norm(x.contiguous(), weight.contiguous(), bias.contiguous(), self.eps)

        def after_adding(self, x: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
            """The sum, and its norm."""
            if not fused.are_ready(x) or is_replaced(self):
                x = x + added
                return x, self(x)
            with lent(self, x) as (weight, bias):
                given = (part.contiguous() for part in (x, added, weight, bias))
                return fused.add_and_layer_norm(*given, self.eps)

    return LayerNorm


def norm_all_frames(norm: Callable[[Tensor], Tensor], x: Tensor, frames: int) -> Tensor:
    """`norm` with statistics over all frames of a video together (a view where x is channels-last)."""
    rows, channels, height, width = x.shape
    stacked = x.permute(0, 2, 3, 1).reshape(rows // frames, frames * height, width, channels)
    stacked = norm(stacked.permute(0, 3, 1, 2))
    return stacked.permute(0, 2, 3, 1).reshape(rows, height, width, channels).permute(0, 3, 1, 2)


def normalised(x: Tensor, frames: int, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """The same of maps as they lie, channels-last: read twice and written once, with float32 between."""
    rows, channels, height, width = x.shape
    x = x.contiguous(memory_format=torch.channels_last)
    pixels = x.permute(0, 2, 3, 1).view(rows // frames, -1, channels)
    # Of each channel first, so that whole rows are read. Deviations, since half precision may not hold their squares.
    deviations, means = (part.unflatten(1, (groups, -1)) for part in torch.std_mean(pixels, 1, correction=0))
    spread, mean = torch.var_mean(means.float(), 2, correction=0, keepdim=True)
    length = torch.linalg.vector_norm(deviations, dim=2, keepdim=True, dtype=torch.float32)
    variance = torch.addcmul(spread, length, length, value=groups / channels)
    scale = weight.unflatten(0, (groups, -1)) * variance.add_(eps).rsqrt_()
    shift = torch.addcmul(bias.unflatten(0, (groups, -1)), mean, scale, value=-1)
    out = torch.empty_like(pixels)
    torch.addcmul(shift.view(-1, 1, channels), pixels, scale.view(-1, 1, channels), out=out)
    return out.view(rows, height, width, channels).permute(0, 3, 1, 2)


def in_one(
    x: Tensor,
    frames: int,
    groups: int,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    activate: bool = False,
    added: Tensor | None = None,
) -> Tensor:
    """The same by our own kernels, which read twice and write once, with all that `GroupNorm.forward` may add."""
    rows, channels, height, width = x.shape
    x = x.contiguous(memory_format=torch.channels_last)
    pixels = x.permute(0, 2, 3, 1).view(rows // frames, -1, channels)
    added = None if added is None else added.contiguous()
    out = fused.normalise(pixels, groups, weight.contiguous(), bias.contiguous(), eps, activate, added)
    return out.view(rows, height, width, channels).permute(0, 3, 1, 2)


def silu_(x: Tensor) -> Tensor:
    """SiLU, in place where no gradient is wanted."""
    return F.silu(x, inplace=not torch.is_grad_enabled())
