"""Attention over frames: rotary position on queries and keys, plus a learned relative bias."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import device_choices, fused
from .config import ROTARY_DIM
from .lending import lender
from .products import together

NUM_BUCKETS = 32
MAX_DISTANCE = 32


def rotary_frequencies(device: torch.device | str | None = None) -> Tensor:
    """Radians per frame of each rotated pair, float32 ``[16]``: 10000^(-2i/32) (RoFormer, arXiv 2104.09864)."""
    return 10000.0 ** (torch.arange(0, ROTARY_DIM, 2, dtype=torch.float32, device=device) / -ROTARY_DIM)


def relative_position_buckets(frames: int, device: torch.device | str | None = None) -> Tensor:
    """Row of the bias table for every (query, key) pair of frames, int64 ``[frames, frames]``.

    T5's bidirectional buckets (arXiv 1910.10683): the upper half of the table for later keys, exact distances below 8,
    then logarithmic up to 32 frames.
    """
    position = torch.arange(frames, device=device)
    offset = position[:, None] - position[None, :]
    half = NUM_BUCKETS // 2
    exact = half // 2
    distance = offset.abs()
    # Compared with numbers, since a table would be copied to the device, and waited for, in every forward. Computed in
    # doubles: distance 16 lies exactly on a boundary, where float32 logarithms may round either way.
    coarse = half - exact
    starts = [math.ceil(exact * (MAX_DISTANCE / exact) ** (i / coarse) - 1e-9) for i in range(1, coarse)]
    buckets = distance.clamp(max=exact)
    for start in starts:
        buckets = buckets + (distance >= start)
    return buckets + half * (offset < 0)


@dataclass(frozen=True)
class FramePositions:
    """What temporal attention needs to know about the frames of one forward, computed once for all blocks."""

    cos: Tensor  # [frames, 16]
    sin: Tensor  # [frames, 16]
    buckets: Tensor  # [frames, frames]

    @property
    def frames(self) -> int:
        return self.buckets.shape[0]


class RotaryEmbedding(nn.Module):
    """Holds the frequencies under the reference's key; one instance is shared by all temporal attentions.

    Always float32: in half precision the angles of a 16-frame clip are off by up to 0.0024 rad.
    """

    def __init__(self, device: Any = None) -> None:
        super().__init__()
        self.freqs = nn.Parameter(torch.empty(ROTARY_DIM // 2, dtype=torch.float32, device=device), requires_grad=False)

    def positions(self, frames: int, device: torch.device, dtype: torch.dtype, distance: float = 1.0) -> FramePositions:
        """distance: how far apart neighbouring frames are; 1 is what SEINE was trained on."""
        angles = distance * torch.arange(frames, device=device)[:, None] * self.freqs.to(device, torch.float32)
        return FramePositions(angles.cos().to(dtype), angles.sin().to(dtype), relative_position_buckets(frames, device))


def rotate_(x: Tensor, positions: FramePositions) -> Tensor:
    """Rotate, in place, adjacent pairs of the first 32 dimensions of each head; x is ``[..., frames, heads, dim]``."""
    even, odd = x[..., 0:ROTARY_DIM:2], x[..., 1:ROTARY_DIM:2]
    cos, sin = positions.cos[:, None], positions.sin[:, None]
    turned_even = even * cos - odd * sin
    odd.copy_(odd * cos + even * sin)
    even.copy_(turned_even)
    return x


class RelativePositionBias(nn.Module):
    """Learned bias per head and distance. ``relative_attention_bias.weight`` is the table ``[32, heads]``."""

    def __init__(self, heads: int, dtype: Any = None, device: Any = None, operations: Any = nn) -> None:
        super().__init__()
        kwargs = {"dtype": dtype, "device": device}
        # Drawing start values on the meta device would load 130 MB of PyTorch's compiler; a host's layers draw none.
        given = {"_weight": torch.empty(NUM_BUCKETS, heads, **kwargs)} if operations is nn else {}
        self.relative_attention_bias = operations.Embedding(NUM_BUCKETS, heads, **given, **kwargs)

    def forward(self, buckets: Tensor, dtype: torch.dtype) -> Tensor:
        """``[frames, frames]`` buckets to a bias ``[1, heads, frames, frames]``."""
        return self.relative_attention_bias(buckets).to(dtype).permute(2, 0, 1).contiguous().unsqueeze(0)


class TemporalAttention(nn.Module):
    """Self-attention of every pixel over the frames; values are not rotated, nothing is masked."""

    def __init__(
        self,
        width: int,
        heads: int,
        rotary_emb: RotaryEmbedding,
        dtype: Any = None,
        device: Any = None,
        operations: Any = nn,
    ) -> None:
        super().__init__()
        kwargs = {"dtype": dtype, "device": device}
        self.heads = heads
        self.to_q = operations.Linear(width, width, bias=False, **kwargs)
        self.to_k = operations.Linear(width, width, bias=False, **kwargs)
        self.to_v = operations.Linear(width, width, bias=False, **kwargs)
        self.to_out = nn.ModuleList([operations.Linear(width, width, **kwargs)])
        self.time_rel_pos_bias = RelativePositionBias(heads, dtype, device, operations)
        self.rotary_emb = rotary_emb
        self._lender = lender(operations)

    def forward(self, x: Tensor, positions: FramePositions) -> Tensor:
        """``[videos, pixels, frames, width]`` to the same shape (before the residual)."""
        if fused.are_ready(x) and positions.frames <= fused.most_frames(x.device, x.dtype):
            return self._in_one(x.transpose(1, 2), positions).transpose(1, 2)
        # In one piece: of a view of one clip PyTorch makes a small product for every pixel. Of three dimensions, since
        # ComfyUI's products in fp8 take no more.
        rows = x.flatten(0, 1).contiguous()
        q = rotate_(self._heads(self.to_q(rows)), positions).transpose(-3, -2)
        k = rotate_(self._heads(self.to_k(rows)), positions).transpose(-3, -2)
        v = self._heads(self.to_v(rows)).transpose(-3, -2)
        if device_choices.attends_in_float32(x):
            q, k, v = q.float(), k.float(), v.float()
        bias = self.time_rel_pos_bias(positions.buckets, q.dtype)
        parts = zip(*(t.split(device_choices.MOST_PIXELS) for t in (q, k, v)), strict=True)
        outs = [F.scaled_dot_product_attention(*part, attn_mask=bias) for part in parts]
        out = torch.cat(outs) if len(outs) > 1 else outs[0]
        return self.to_out[0](out.to(x.dtype).transpose(-3, -2).reshape(rows.shape)).view(x.shape)

    def _in_one(self, x: Tensor, positions: FramePositions) -> Tensor:
        """The same of ``[videos, frames, pixels, width]``, as maps lie, by one kernel between the projections."""
        rows = x.flatten(0, 1)
        products = together((self.to_q, self.to_k, self.to_v), rows, self._lender)
        q, k, v = (product.view(*x.shape[:3], self.heads, -1) for product in products)
        bias = self.time_rel_pos_bias(positions.buckets, q.dtype)[0]
        out = fused.attend_over_frames(q, k, v, bias, positions.cos, positions.sin)
        return self.to_out[0](out.view(rows.shape)).view(x.shape)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))
