"""The layers of SEINE's UNet. Names inside them are those of the reference's state_dict.

Feature maps are ``[videos*frames, channels, h, w]`` in channels-last memory, so that tokens
``[videos*frames, h*w, channels]`` are views, not copies.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import SeineConfig
from .convolution import convolution
from .device_choices import feed_forward_pieces
from .fused import are_ready
from .hooks import AttentionFunction, Hooks
from .lending import lender
from .normalisation import group_norm, layer_norm, silu_
from .products import gated, together
from .temporal import FramePositions, RotaryEmbedding, TemporalAttention


def timestep_embedding(timestep: Tensor, width: int) -> Tensor:
    """``[cos(t*w), sin(t*w)]`` with w_i = 10000^(-2i/width), float32 ``[videos, width]`` (arXiv 2006.11239)."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32, device=timestep.device) * (-math.log(10000) / half))
    angles = timestep.float()[:, None] * frequencies
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


class TimeEmbedding(nn.Module):
    """Linear, SiLU, Linear."""

    def __init__(self, width: int, out: int, dtype: Any, device: Any, operations: Any) -> None:
        super().__init__()
        self.linear_1 = operations.Linear(width, out, dtype=dtype, device=device)
        self.linear_2 = operations.Linear(out, out, dtype=dtype, device=device)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_2(silu_(self.linear_1(x)))


class ResnetBlock(nn.Module):
    """``[videos*frames, in, h, w]`` to ``[videos*frames, out, h, w]``; normalises over all frames of a video.

    `time`: the time embedding of each video, or of each frame.
    """

    def __init__(
        self, in_width: int, width: int, time_width: int, groups: int, dtype: Any, device: Any, operations: Any
    ):
        super().__init__()
        kwargs = {"dtype": dtype, "device": device}
        self.norm1 = group_norm(operations)(groups, in_width, eps=1e-5, **kwargs)
        self.conv1 = convolution(operations)(in_width, width, 3, padding=1, **kwargs)
        self.time_emb_proj = operations.Linear(time_width, width, **kwargs)
        self.norm2 = group_norm(operations)(groups, width, eps=1e-5, **kwargs)
        self.conv2 = convolution(operations)(width, width, 3, padding=1, **kwargs)
        self.conv_shortcut = convolution(operations)(in_width, width, 1, **kwargs) if in_width != width else None

    def forward(self, x: Tensor, time: Tensor, frames: int) -> Tensor:
        h, added = self.conv1.to_be_added(self.norm1(x, frames, activate=True), self.time_emb_proj(time))
        h = self.norm2(h, frames, activate=True, added=added)
        return self.conv2.onto(h, x if self.conv_shortcut is None else self.conv_shortcut(x))


class Downsample(nn.Module):
    def __init__(self, width: int, dtype: Any, device: Any, operations: Any) -> None:
        super().__init__()
        self.conv = convolution(operations)(width, width, 3, stride=2, padding=1, dtype=dtype, device=device)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Upsample(nn.Module):
    """Nearest to the size of the next skip connection, which need not be exactly double, then a convolution."""

    def __init__(self, width: int, dtype: Any, device: Any, operations: Any) -> None:
        super().__init__()
        self.conv = convolution(operations)(width, width, 3, padding=1, dtype=dtype, device=device)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        if tuple(size) == tuple(2 * side for side in x.shape[-2:]):
            return self.conv.doubled(x)
        # Doubling and cropping: nearest interpolation straight to an odd size would choose other pixels.
        doubled = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.conv(doubled[:, :, : size[0], : size[1]])


class Attention(nn.Module):
    """Multi-head attention of tokens ``[batch, tokens, width]`` to themselves or to a context."""

    def __init__(
        self,
        width: int,
        context_width: int,
        heads: int,
        attention: AttentionFunction,
        dtype: Any,
        device: Any,
        operations: Any,
    ) -> None:
        super().__init__()
        kwargs = {"dtype": dtype, "device": device}
        self.heads = heads
        self.attention = attention
        self.to_q = operations.Linear(width, width, bias=False, **kwargs)
        self.to_k = operations.Linear(context_width, width, bias=False, **kwargs)
        self.to_v = operations.Linear(context_width, width, bias=False, **kwargs)
        self.to_out = nn.ModuleList([operations.Linear(width, width, **kwargs)])
        self._lender = lender(operations)

    def forward(self, x: Tensor, context: Tensor | None = None, value: Tensor | None = None, **options: Any) -> Tensor:
        if context is None and value is None:
            products = together((self.to_q, self.to_k, self.to_v), x, self._lender)
            return self.output(self.attention(*products, self.heads, **options))
        context = x if context is None else context
        value = context if value is None else value
        return self.output(self.attention(self.to_q(x), self.to_k(context), self.to_v(value), self.heads, **options))

    def output(self, x: Tensor) -> Tensor:
        return self.to_out[0](x)


class GEGLU(nn.Module):
    def __init__(self, width: int, inner: int, dtype: Any, device: Any, operations: Any) -> None:
        super().__init__()
        self.proj = operations.Linear(width, inner * 2, dtype=dtype, device=device)
        self._lender = lender(operations)

    def forward(self, x: Tensor) -> Tensor:
        if are_ready(x):
            return gated(self.proj, x, self._lender)
        value, gates = self.proj(x).chunk(2, dim=-1)
        gates = F.gelu(gates)
        return gates * value if torch.is_grad_enabled() else gates.mul_(value)


class FeedForward(nn.Module):
    def __init__(self, width: int, dtype: Any, device: Any, operations: Any) -> None:
        super().__init__()
        inner = width * 4
        self.net = nn.ModuleList(
            [
                GEGLU(width, inner, dtype, device, operations),
                nn.Identity(),  # the reference's dropout: keeps the projection's key at net.2
                operations.Linear(inner, width, dtype=dtype, device=device),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net[2](self.net[0](x))

    def onto(self, x: Tensor, residual: Tensor) -> Tensor:
        """The feed-forward of x plus `residual`, in its place where no gradient is wanted."""
        # Between the layers there are 8 times as many values as x has; all at once would be much memory.
        count = feed_forward_pieces(8 * x.numel(), x.device.type)
        pieces = zip(x.chunk(count), residual.chunk(count), strict=True)
        if torch.is_grad_enabled():
            sums = [total + self(piece) for piece, total in pieces]
            return torch.cat(sums) if len(sums) > 1 else sums[0]
        for piece, total in pieces:
            total += self(piece)
        return residual


class TransformerBlock(nn.Module):
    """Self-attention per frame, text, frames, feed-forward: tokens ``[videos*frames, h*w, width]``, all residual."""

    def __init__(
        self,
        width: int,
        config: SeineConfig,
        rotary_emb: RotaryEmbedding,
        attention: AttentionFunction,
        dtype: Any,
        device: Any,
        operations: Any,
    ) -> None:
        super().__init__()
        kwargs = {"dtype": dtype, "device": device}
        heads = config.attention_head_dim
        self.attn1 = Attention(width, width, heads, attention, operations=operations, **kwargs)
        self.norm1 = layer_norm(operations)(width, **kwargs)
        self.attn2 = Attention(width, config.cross_attention_dim, heads, attention, operations=operations, **kwargs)
        self.norm2 = layer_norm(operations)(width, **kwargs)
        self.attn_temp = TemporalAttention(width, heads, rotary_emb, operations=operations, **kwargs)
        self.norm_temp = layer_norm(operations)(width, **kwargs)
        self.ff = FeedForward(width, operations=operations, **kwargs)
        self.norm3 = layer_norm(operations)(width, **kwargs)

    def forward(self, x: Tensor, context: Tensor, positions: FramePositions, hooks: Hooks) -> Tensor:
        frames = positions.frames
        n = hooks.attention("attn1", self.attn1, self.norm1(x), None)
        if hooks.changes_between:
            x = hooks.between_attentions(x + n, self.attn1.heads)
            n = self.norm2(x)
        else:
            x, n = self.norm2.after_adding(x, n)
        if hooks.per_frame_text:
            n = hooks.attention("attn2", self.attn2, n, context.repeat_interleave(len(n) // len(context), 0))
        else:  # all frames read the same text: one long query per video, keys and values once
            by_video = n.reshape(context.shape[0], -1, n.shape[-1])
            n = hooks.attention("attn2", self.attn2, by_video, context).view_as(x)
        x, n = self.norm_temp.after_adding(x, n)
        n = hooks.temporal_attention(self.attn_temp, n.unflatten(0, (-1, frames)).transpose(1, 2), positions)
        x, n = self.norm3.after_adding(x, n.transpose(1, 2).reshape(x.shape))
        return self.ff.onto(n, x)


class SpatioTemporalTransformer(nn.Module):
    """``[videos*frames, width, h, w]`` to the same shape; normalises each frame by itself."""

    def __init__(
        self,
        width: int,
        config: SeineConfig,
        rotary_emb: RotaryEmbedding,
        attention: AttentionFunction,
        dtype: Any,
        device: Any,
        operations: Any,
    ) -> None:
        super().__init__()
        kwargs = {"dtype": dtype, "device": device}
        self.norm = group_norm(operations)(config.norm_num_groups, width, eps=1e-6, **kwargs)
        self.proj_in = convolution(operations)(width, width, 1, **kwargs)
        block = TransformerBlock(width, config, rotary_emb, attention, operations=operations, **kwargs)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = convolution(operations)(width, width, 1, **kwargs)

    def forward(self, x: Tensor, context: Tensor, positions: FramePositions, hooks: Hooks) -> Tensor:
        height, width = x.shape[-2:]
        tokens = self.proj_in(self.norm(x)).permute(0, 2, 3, 1).flatten(1, 2)
        tokens = self.transformer_blocks[0](tokens, context, positions, hooks)
        return x + self.proj_out(tokens.unflatten(1, (height, width)).permute(0, 3, 1, 2))
