"""SEINE's denoiser: the Stable Diffusion 1.x UNet on every frame, plus attention over the frames in each transformer.

Inside, a video is a batch of frames ``[videos*frames, channels, h, w]`` in channels-last memory, so that tokens
``[videos*frames, h*w, channels]`` and the all-frames view of GroupNorm are views, not copies. Module names give exactly
the reference's state_dict keys. Every layer comes from `operations`; nothing reads a weight before the first forward.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import SeineConfig
from .hooks import NO_HOOKS, AttentionFunction, Hooks
from .temporal import FramePositions, RotaryEmbedding, TemporalAttention


def scaled_dot_product_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """The default attention: ``[batch, tokens, heads*dim]`` each."""
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def timestep_embedding(timestep: Tensor, width: int) -> Tensor:
    """``[cos(t*w), sin(t*w)]`` with w_i = 10000^(-2i/width), float32 ``[videos, width]`` (arXiv 2006.11239)."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32, device=timestep.device) * (-math.log(10000) / half))
    angles = timestep.float()[:, None] * frequencies
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


def _silu(x: Tensor) -> Tensor:
    return F.silu(x, inplace=not torch.is_grad_enabled())


def _norm_all_frames(norm: nn.Module, x: Tensor, frames: int) -> Tensor:
    """GroupNorm with statistics over all frames of a video together (a view where x is channels-last)."""
    rows, channels, height, width = x.shape
    stacked = x.permute(0, 2, 3, 1).reshape(rows // frames, frames * height, width, channels)
    stacked = norm(stacked.permute(0, 3, 1, 2))
    return stacked.permute(0, 2, 3, 1).reshape(rows, height, width, channels).permute(0, 3, 1, 2)


def _convolve(conv: nn.Module, x: Tensor) -> Tensor:
    """A 3x3 convolution. On the CPU, maps of less than 8x8 take half the time in plain memory order."""
    if x.device.type == "cpu" and x.shape[-2] * x.shape[-1] < 64:
        return conv(x.contiguous()).contiguous(memory_format=torch.channels_last)
    return conv(x)


class TimeEmbedding(nn.Module):
    """Linear, SiLU, Linear."""

    def __init__(self, width: int, out: int, dtype: Any, device: Any, operations: Any) -> None:
        super().__init__()
        self.linear_1 = operations.Linear(width, out, dtype=dtype, device=device)
        self.linear_2 = operations.Linear(out, out, dtype=dtype, device=device)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_2(_silu(self.linear_1(x)))


class ResnetBlock(nn.Module):
    """``[videos*frames, in, h, w]`` to ``[videos*frames, out, h, w]``; normalises over all frames of a video."""

    def __init__(
        self, in_width: int, width: int, time_width: int, groups: int, dtype: Any, device: Any, operations: Any
    ):
        super().__init__()
        kwargs = {"dtype": dtype, "device": device}
        self.norm1 = operations.GroupNorm(groups, in_width, eps=1e-5, **kwargs)
        self.conv1 = operations.Conv2d(in_width, width, 3, padding=1, **kwargs)
        self.time_emb_proj = operations.Linear(time_width, width, **kwargs)
        self.norm2 = operations.GroupNorm(groups, width, eps=1e-5, **kwargs)
        self.conv2 = operations.Conv2d(width, width, 3, padding=1, **kwargs)
        self.conv_shortcut = operations.Conv2d(in_width, width, 1, **kwargs) if in_width != width else None

    def forward(self, x: Tensor, time: Tensor, frames: int) -> Tensor:
        h = _convolve(self.conv1, _silu(_norm_all_frames(self.norm1, x, frames)))
        h = h + self.time_emb_proj(time).repeat_interleave(frames, 0)[:, :, None, None]
        h = _convolve(self.conv2, _silu(_norm_all_frames(self.norm2, h, frames)))
        return h + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Downsample(nn.Module):
    def __init__(self, width: int, dtype: Any, device: Any, operations: Any) -> None:
        super().__init__()
        self.conv = operations.Conv2d(width, width, 3, stride=2, padding=1, dtype=dtype, device=device)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Upsample(nn.Module):
    """Nearest to the size of the next skip connection, which need not be exactly double, then a convolution."""

    def __init__(self, width: int, dtype: Any, device: Any, operations: Any) -> None:
        super().__init__()
        self.conv = operations.Conv2d(width, width, 3, padding=1, dtype=dtype, device=device)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        # Doubling and cropping: nearest interpolation straight to an odd size would choose other pixels.
        doubled = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return _convolve(self.conv, doubled[:, :, : size[0], : size[1]])


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

    def forward(self, x: Tensor, context: Tensor | None = None, value: Tensor | None = None, **options: Any) -> Tensor:
        context = x if context is None else context
        value = context if value is None else value
        return self.output(self.attention(self.to_q(x), self.to_k(context), self.to_v(value), self.heads, **options))

    def output(self, x: Tensor) -> Tensor:
        return self.to_out[0](x)


class GEGLU(nn.Module):
    def __init__(self, width: int, inner: int, dtype: Any, device: Any, operations: Any) -> None:
        super().__init__()
        self.proj = operations.Linear(width, inner * 2, dtype=dtype, device=device)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


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
        self.norm1 = operations.LayerNorm(width, **kwargs)
        self.attn2 = Attention(width, config.cross_attention_dim, heads, attention, operations=operations, **kwargs)
        self.norm2 = operations.LayerNorm(width, **kwargs)
        self.attn_temp = TemporalAttention(width, heads, rotary_emb, operations=operations, **kwargs)
        self.norm_temp = operations.LayerNorm(width, **kwargs)
        self.ff = FeedForward(width, operations=operations, **kwargs)
        self.norm3 = operations.LayerNorm(width, **kwargs)

    def forward(self, x: Tensor, context: Tensor, positions: FramePositions, hooks: Hooks) -> Tensor:
        frames = positions.frames
        x = x + hooks.attention("attn1", self.attn1, self.norm1(x), None)
        x = hooks.between_attentions(x)
        n = self.norm2(x)
        if hooks.per_frame_text:
            n = hooks.attention("attn2", self.attn2, n, context.repeat_interleave(frames, 0))
        else:  # all frames read the same text: one long query per video, keys and values once
            by_video = n.reshape(context.shape[0], -1, n.shape[-1])
            n = hooks.attention("attn2", self.attn2, by_video, context).view_as(x)
        x = x + n
        by_pixel = x.unflatten(0, (-1, frames)).transpose(1, 2)
        n = hooks.temporal_attention(self.attn_temp, self.norm_temp(by_pixel), positions)
        x = (by_pixel + n).transpose(1, 2).reshape(x.shape)
        return x + self.ff(self.norm3(x))


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
        self.norm = operations.GroupNorm(config.norm_num_groups, width, eps=1e-6, **kwargs)
        self.proj_in = operations.Conv2d(width, width, 1, **kwargs)
        block = TransformerBlock(width, config, rotary_emb, attention, operations=operations, **kwargs)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = operations.Conv2d(width, width, 1, **kwargs)

    def forward(self, x: Tensor, context: Tensor, positions: FramePositions, hooks: Hooks) -> Tensor:
        height, width = x.shape[-2:]
        tokens = self.proj_in(self.norm(x)).permute(0, 2, 3, 1).flatten(1, 2)
        tokens = self.transformer_blocks[0](tokens, context, positions, hooks)
        return x + self.proj_out(tokens.unflatten(1, (height, width)).permute(0, 3, 1, 2))


class Level(nn.Module):
    """The modules of one resolution, under the reference's names; the UNet walks through them."""

    def __init__(self, resnets: list, attentions: list, downsamplers: list = (), upsamplers: list = ()) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        self.attentions = nn.ModuleList(attentions)
        self.downsamplers = nn.ModuleList(downsamplers)
        self.upsamplers = nn.ModuleList(upsamplers)

    def layer(
        self, index: int, h: Tensor, time: Tensor, context: Tensor, positions: FramePositions, hooks: Hooks
    ) -> Tensor:
        """One resnet and, where this level has them, the transformer behind it."""
        h = self.resnets[index](h, time, positions.frames)
        return self.attentions[index](h, context, positions, hooks) if index < len(self.attentions) else h


class SeineUNet3D(nn.Module):
    """Predicts the noise in a video's latents, given the mask and the latents of its kept frames.

    `operations` is a namespace with Linear, Conv2d, GroupNorm and LayerNorm (default torch.nn); `attention` a function
    ``(q, k, v, heads) -> out`` for spatial and text attention. Weights are not meant to be used before loading.
    """

    def __init__(
        self,
        config: SeineConfig | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        operations: Any = nn,
        attention: AttentionFunction = scaled_dot_product_attention,
    ) -> None:
        super().__init__()
        self.config = config = config or SeineConfig()
        self.dtype = dtype or torch.get_default_dtype()
        widths = config.block_out_channels
        groups, layers, time_width = config.norm_num_groups, config.layers_per_block, widths[0] * 4
        kwargs = {"dtype": dtype, "device": device, "operations": operations}
        rotary = RotaryEmbedding(device)

        def resnet(in_width: int, width: int) -> ResnetBlock:
            return ResnetBlock(in_width, width, time_width, groups, **kwargs)

        def transformer(width: int) -> SpatioTemporalTransformer:
            return SpatioTemporalTransformer(width, config, rotary, attention, **kwargs)

        self.conv_in = operations.Conv2d(config.in_channels, widths[0], 3, padding=1, dtype=dtype, device=device)
        self.time_embedding = TimeEmbedding(widths[0], time_width, **kwargs)

        last = len(widths) - 1
        skips = [widths[0]]
        self.down_blocks = nn.ModuleList()
        for level, width in enumerate(widths):
            in_width = widths[max(level - 1, 0)]
            resnets = [resnet(in_width if i == 0 else width, width) for i in range(layers)]
            attentions = [transformer(width) for _ in range(layers)] if level < last else []
            downsamplers = [Downsample(width, **kwargs)] if level < last else []
            self.down_blocks.append(Level(resnets, attentions, downsamplers=downsamplers))
            skips += [width] * (layers + len(downsamplers))

        self.up_blocks = nn.ModuleList()
        in_width = widths[-1]
        for level, width in enumerate(reversed(widths)):
            resnets = []
            for _ in range(layers + 1):
                resnets.append(resnet(in_width + skips.pop(), width))
                in_width = width
            attentions = [transformer(width) for _ in range(layers + 1)] if level > 0 else []
            upsamplers = [Upsample(width, **kwargs)] if level < last else []
            self.up_blocks.append(Level(resnets, attentions, upsamplers=upsamplers))

        middle = widths[-1]
        self.mid_block = Level([resnet(middle, middle), resnet(middle, middle)], [transformer(middle)])
        self.conv_norm_out = operations.GroupNorm(groups, widths[0], eps=1e-5, dtype=dtype, device=device)
        self.conv_out = operations.Conv2d(widths[0], config.out_channels, 3, padding=1, dtype=dtype, device=device)

    def forward(self, sample: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        """Noise prediction.

        sample ``[videos, 9, frames, h, w]`` = noisy latents 4, mask 1 (1 = generate), masked-video latents 4;
        timestep ``[videos]``; context ``[videos, tokens, cross_attention_dim]``. Returns ``[videos, 4, frames, h, w]``.
        Raises ValueError for shapes that do not fit.
        """
        videos, frames = _check_shapes(self.config, sample, timestep, context)
        rows = sample.transpose(1, 2).flatten(0, 1)
        out = self.forward_frames(rows, timestep, context, frames)
        return out.unflatten(0, (videos, frames)).transpose(1, 2)

    def forward_frames(
        self, x: Tensor, timestep: Tensor, context: Tensor, frames: int, hooks: Hooks = NO_HOOKS
    ) -> Tensor:
        """The same with frames in the batch: x ``[videos*frames, 9, h, w]`` to ``[videos*frames, 4, h, w]``."""
        rotary = self.mid_block.attentions[0].transformer_blocks[0].attn_temp.rotary_emb
        positions = rotary.positions(frames, x.device, x.dtype)
        time = self.time_embedding(timestep_embedding(timestep, self.config.block_out_channels[0]).to(x.dtype))
        time = F.silu(hooks.time_embedding(time))

        hooks.enter("input", 0)
        h, skip = hooks.after_input(self.conv_in(x.contiguous(memory_format=torch.channels_last)))
        skips = [skip]
        for level in self.down_blocks:
            for index in range(len(level.resnets)):
                hooks.enter("input", len(skips))
                h, skip = hooks.after_input(level.layer(index, h, time, context, positions, hooks))
                skips.append(skip)
            for downsample in level.downsamplers:
                hooks.enter("input", len(skips))
                h, skip = hooks.after_input(downsample(h))
                skips.append(skip)

        hooks.enter("middle", 0)
        h = self.mid_block.layer(0, h, time, context, positions, hooks)
        h = self.mid_block.layer(1, h, time, context, positions, hooks)
        h = hooks.after_middle(h)

        block = 0
        for level in self.up_blocks:
            for index in range(len(level.resnets)):
                hooks.enter("output", block)
                h, skip = hooks.before_output(h, skips.pop())
                h = level.layer(index, torch.cat((h, skip), dim=1), time, context, positions, hooks)
                block += 1
            for upsample in level.upsamplers:
                h = upsample(h, skips[-1].shape[-2:])

        return self.conv_out(_silu(_norm_all_frames(self.conv_norm_out, h, frames)))


def _check_shapes(config: SeineConfig, sample: Tensor, timestep: Tensor, context: Tensor) -> tuple[int, int]:
    if sample.ndim != 5 or sample.shape[1] != config.in_channels:
        raise ValueError(f"sample must be [videos, {config.in_channels}, frames, h, w], got {list(sample.shape)}")
    videos = sample.shape[0]
    if timestep.shape != (videos,):
        raise ValueError(f"timestep must be [{videos}], one per video, got {list(timestep.shape)}")
    if context.ndim != 3 or context.shape[0] != videos or context.shape[-1] != config.cross_attention_dim:
        raise ValueError(
            f"context must be [{videos}, tokens, {config.cross_attention_dim}], got {list(context.shape)}: "
            "is this text encoder the one of Stable Diffusion 1.x?"
        )
    return videos, sample.shape[2]
