"""SEINE's denoiser: the Stable Diffusion 1.x UNet on every frame, plus attention over the frames in each transformer.

Inside, a video is a batch of frames ``[videos*frames, channels, h, w]``. Module names give exactly the reference's
state_dict keys. Every layer comes from `operations`; nothing reads a weight before the first forward.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import attention as of_tokens
from . import fused
from .attention import scaled_dot_product_attention
from .config import SeineConfig
from .hooks import NO_HOOKS, AttentionFunction, Hooks
from .layers import (
    Downsample,
    ResnetBlock,
    SpatioTemporalTransformer,
    TimeEmbedding,
    Upsample,
    timestep_embedding,
)
from .normalisation import group_norm
from .temporal import FramePositions, RotaryEmbedding


class Level(nn.Module):
    """The modules of one resolution, under the reference's names; the UNet walks through them."""

    def __init__(self, resnets: list, attentions: list, downsamplers: list = (), upsamplers: list = ()) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        self.attentions = nn.ModuleList(attentions)
        self.downsamplers = nn.ModuleList(downsamplers)
        self.upsamplers = nn.ModuleList(upsamplers)

    def resnet_and_attention(
        self, index: int, h: Tensor, time: Tensor, context: Tensor, positions: FramePositions, hooks: Hooks
    ) -> Tensor:
        """One resnet and, where this level has them, the transformer behind it."""
        h = self.resnets[index](h, time, positions.frames)
        return self.attentions[index](h, context, positions, hooks) if index < len(self.attentions) else h


class SeineUNet3D(nn.Module):
    """Predicts the noise in a video's latents, given the mask and the latents of its kept frames.

    `operations` is a namespace with Linear, Conv2d, GroupNorm, LayerNorm and Embedding (default torch.nn); `attention`
    a function ``(q, k, v, heads) -> out`` for spatial and text attention. Weights are not meant to be used before
    loading.
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
        self.conv_norm_out = group_norm(operations)(groups, widths[0], eps=1e-5, dtype=dtype, device=device)
        self.conv_out = operations.Conv2d(widths[0], config.out_channels, 3, padding=1, dtype=dtype, device=device)

    def prepare(self, device: torch.device, dtype: torch.dtype) -> None:
        """Find out, once, what of our own works there: before a clip, since in a compiled forward nothing is tried."""
        fused.prepare(device, dtype)
        of_tokens.prepare(device, dtype)

    def forward(self, sample: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        """Noise prediction.

        sample ``[videos, 9, frames, h, w]`` = noisy latents 4, mask 1 (1 = generate), masked-video latents 4;
        timestep ``[videos]``; context ``[videos, tokens, cross_attention_dim]``. Returns ``[videos, 4, frames, h, w]``.
        Raises ValueError for shapes that do not fit.
        """
        videos, frames = _check_shapes(self.config, sample, timestep, context)
        if not torch.compiler.is_compiling():
            self.prepare(sample.device, sample.dtype)
        rows = sample.transpose(1, 2).flatten(0, 1)
        out = self.forward_frames(rows, timestep, context, frames)
        return out.unflatten(0, (videos, frames)).transpose(1, 2)

    def forward_frames(
        self, x: Tensor, timestep: Tensor, context: Tensor, frames: int, hooks: Hooks = NO_HOOKS
    ) -> Tensor:
        """The same with frames in the batch: x ``[videos*frames, 9, h, w]`` to ``[videos*frames, 4, h, w]``.

        Whoever calls it calls `prepare` before.
        """
        rotary = self.mid_block.attentions[0].transformer_blocks[0].attn_temp.rotary_emb
        positions = rotary.positions(frames, x.device, x.dtype, hooks.frame_distance)
        time = self.time_embedding(timestep_embedding(timestep, self.config.block_out_channels[0]).to(x.dtype))
        time = F.silu(hooks.time_embedding(time))

        hooks.enter("input", 0)
        h, skip = hooks.after_input(self.conv_in(x.contiguous(memory_format=torch.channels_last)))
        skips = [skip]
        for level in self.down_blocks:
            for index in range(len(level.resnets)):
                hooks.enter("input", len(skips))
                h, skip = hooks.after_input(level.resnet_and_attention(index, h, time, context, positions, hooks))
                skips.append(skip)
            for downsample in level.downsamplers:
                hooks.enter("input", len(skips))
                h, skip = hooks.after_input(downsample(h))
                skips.append(skip)

        hooks.enter("middle", 0)
        h = self.mid_block.resnet_and_attention(0, h, time, context, positions, hooks)
        h = self.mid_block.resnet_and_attention(1, h, time, context, positions, hooks)
        h = hooks.after_middle(h)

        block = 0
        for level in self.up_blocks:
            for index in range(len(level.resnets)):
                hooks.enter("output", block)
                h, skip = hooks.before_output(h, skips.pop())
                h = level.resnet_and_attention(index, torch.cat((h, skip), dim=1), time, context, positions, hooks)
                block += 1
            for upsample in level.upsamplers:
                h = upsample(h, skips[-1].shape[-2:])

        return self.conv_out(self.conv_norm_out(h, frames, activate=True))


def _check_shapes(config: SeineConfig, sample: Tensor, timestep: Tensor, context: Tensor) -> tuple[int, int]:
    if sample.ndim != 5 or sample.shape[1] != config.in_channels:
        raise ValueError(f"sample: give [videos, {config.in_channels}, frames, h, w], not {list(sample.shape)}")
    videos = sample.shape[0]
    if timestep.shape != (videos,):
        raise ValueError(f"timestep: give [{videos}], one per video, not {list(timestep.shape)}")
    if context.ndim != 3 or context.shape[0] != videos or context.shape[-1] != config.cross_attention_dim:
        raise ValueError(
            f"context: give [{videos}, tokens, {config.cross_attention_dim}], not {list(context.shape)}: use the text "
            "encoder of the model (that of Stable Diffusion 1.x, for the published one)"
        )
    return videos, sample.shape[2]
