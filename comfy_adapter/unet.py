"""SEINE's UNet behind the call the host makes of a diffusion model."""

from __future__ import annotations

import math
from typing import Any

import comfy.cli_args
import torch
from comfy.ldm.modules.attention import attention_pytorch, attention_sage, attention_sub_quad, optimized_attention
from comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers
from torch import Tensor, nn

from ..seine_model.attention import scaled_dot_product_attention, takes_cudnn
from ..seine_model.config import SeineConfig
from ..seine_model.unet import SeineUNet3D
from .control import WINDOW_OF_PACKS
from .hooks import HostHooks
from .host_names import HostNames
from .keyframes import LATENT_SCALE
from .memory import OutOfMemory, make_room, may_have_run_out, ran_out
from .operations import lending

_NONE_CHOSEN = optimized_attention is attention_sub_quad and not comfy.cli_args.args.use_quad_cross_attention
"""The host then has its slowest, which saves memory on GPUs it does not know."""

_OVERRIDE = "optimized_attention_override"
"""Where `transformer_options` have another attention, which the host's functions call."""

_WIDEST_FOR_SAGE = 128
"""Values of a head. The host would ask SageAttention all the same, log its refusal as an error, and then use PyTorch's:
for 12 of the 32 attentions of a step."""

TOO_LARGE = (
    "Out of memory for one clip of {frames} frames of {width}x{height}: lower width and height or frames (Context "
    "Windows sample long clips in parts), load the model with weight_dtype fp8, or close other programs."
)


def host_attention(q: Tensor, k: Tensor, v: Tensor, heads: int, transformer_options: dict | None = None) -> Tensor:
    """The attention the user of this host chose (xformers, SageAttention, flash, PyTorch's, sub-quadratic …).

    PyTorch's on the CPU where none was chosen: three times as fast there as what the host falls back to. Where it is
    PyTorch's on a card, which of its kernels is a choice of ours.
    """
    options = transformer_options or {}
    attention = attention_pytorch if _NONE_CHOSEN and q.device.type == "cpu" else optimized_attention
    if attention is attention_sage and q.shape[-1] // heads > _WIDEST_FOR_SAGE:
        attention = attention_pytorch
    if attention is attention_pytorch and takes_cudnn(q, k, heads) and _OVERRIDE not in options:
        return scaled_dot_product_attention(q, k, v, heads)
    return attention(q, k, v, heads, transformer_options=options)


class HostUNet(nn.Module):
    """Frames arrive as batch rows: x ``[conds*videos*frames, 9, h, w]``; conditioning and timesteps per row.

    Its layers are those of `network`, under the names of the host's UNets (`layout`, see `host_names`).
    """

    def __init__(
        self,
        config: SeineConfig,
        model_channels: int,
        dtype: torch.dtype | None = None,
        device: Any = None,
        operations: Any = None,
        **layout: Any,
    ) -> None:
        super().__init__()
        lent = lending(operations)
        network = SeineUNet3D(config, dtype=dtype, device=device, operations=lent, attention=host_attention)
        self.__dict__["network"] = network  # not as one of its modules, which would name every weight twice
        HostNames(layout).show(network, self)
        self.dtype = network.dtype
        self.model_channels = model_channels
        self.in_channels = config.in_channels  # as the host's UNets have it, for patches that read it
        self._too_large = math.inf
        """Size of the smallest batch for which memory ran out."""

    def starts_a_run(self, device: torch.device, dtype: torch.dtype) -> None:
        """Forget what memory did not suffice for, and find out what works on the device: a compiled forward cannot."""
        self._too_large = math.inf
        self.network.prepare(device, dtype)

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Tensor | None = None,
        control: dict | None = None,
        transformer_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        options = {} if transformer_options is None else transformer_options
        return WrapperExecutor.new_class_executor(
            self._forward, self, get_all_wrappers(WrappersMP.DIFFUSION_MODEL, options)
        ).execute(x, timesteps, context, y, control, options, **kwargs)

    def _forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Tensor | None,
        control: dict | None,
        transformer_options: dict[str, Any],
        num_video_frames: int | None = None,
        prompt_per_frame: bool = False,
        videos: int = 1,
        **kwargs: Any,
    ) -> Tensor:
        frames = num_video_frames or x.shape[0]
        window = transformer_options.get(WINDOW_OF_PACKS)
        if videos > 1 and window and window["sub_idxs"] is not None:
            raise ValueError(
                "Context windows slide over one clip at a time: set batch_size of SEINE Image to Video to 1."
            )
        if context.shape[-1] != self.network.config.cross_attention_dim:
            raise ValueError(
                f"The prompt's embedding is {context.shape[-1]} wide, this SEINE model reads "
                f"{self.network.config.cross_attention_dim}: encode the prompt with the CLIP of its own checkpoint "
                "(Stable Diffusion 1.x for the published model, not SD 2 or SDXL)."
            )
        if not _whole_clips(x, timesteps, frames):
            raise ValueError(
                f"model: a node gave it {len(x)} frames of clips of {frames}, or gave frames of one clip different "
                "noise, as core's Train LoRA does, which is for single images: train SEINE with tools/train.py"
            )
        by_video = slice(None, None, frames)
        # Patches and control expect all rows at once.
        divisible = len(x) > frames and not control and not _patched(transformer_options)
        if not (divisible and x.numel() >= self._too_large):
            try:
                hooks = HostHooks(
                    x, timesteps, context, self.model_channels, control, transformer_options, prompt_per_frame
                )
                texts = context if prompt_per_frame else context[by_video]
                return self.network.forward_frames(x, timesteps[by_video], texts, frames, hooks)
            except Exception as error:
                if not (may_have_run_out(error) if divisible else ran_out(error)):
                    raise
                if not divisible:
                    height, width = (LATENT_SCALE * side for side in x.shape[-2:])
                    raise OutOfMemory(TOO_LARGE.format(frames=frames, width=width, height=height)) from error
            self._too_large = x.numel()
            make_room("computing one video, or one half of guidance, at a time")
        parts = (slice(start, start + frames) for start in range(0, len(x), frames))
        return torch.cat(
            [
                self._forward(
                    x[part], timesteps[part], context[part], y, control, transformer_options, frames, prompt_per_frame
                )
                for part in parts
            ]
        )


def _whole_clips(x: Tensor, timesteps: Tensor, frames: int) -> bool:
    """Whether the rows are clips, of one timestep each; the latter is looked at where a model is trained."""
    if len(x) % frames:
        return False
    return not x.requires_grad or bool((timesteps.view(-1, frames) == timesteps[::frames, None]).all())


def _patched(transformer_options: dict[str, Any]) -> bool:
    return any(transformer_options.get(name) for name in ("patches", "patches_replace"))
