"""SEINE as one of the host's models: schedule, latent format, and the conditioning that reaches the UNet."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import comfy.conds
import comfy.model_base
import comfy.supported_models_base
import torch
from torch import Tensor

from ..seine_model.checkpoint import ROTARY_KEY
from ..seine_model.config import SeineConfig
from ..seine_model.diffusion import LINEAR_END, LINEAR_START
from ..seine_model.facts import as_tensor
from .clip_checks import check_own_prompt, check_shapes, kind_of
from .control import check_control
from .foreign_conditioning import check_foreign_conditioning
from .host_names import HostNames, unet_layout
from .keyframes import FRAMES, MASK, MASKED_LATENTS, fit_to_latents, refuse_keyframes
from .preview import SeineLatentFormat
from .prompts import prompt_rows
from .timed_keyframes import is_timed
from .unet import HostUNet

SD1_MID_GRAY = (0.8223, -0.6876, 0.6364, 0.1380)
"""Scaled latent of a mid-gray image under Stable Diffusion 1.x's VAE, the value the host's own inpainting uses."""


class SeineModelConfig(comfy.supported_models_base.BASE):
    """What the host asks of a supported model. Its name for a linear beta schedule is "sqrt_linear"."""

    unet_extra_config: dict[str, Any] = {}
    latent_format = SeineLatentFormat
    sampling_settings = {"beta_schedule": "sqrt_linear", "linear_start": LINEAR_START, "linear_end": LINEAR_END}
    memory_usage_factor = 0.6
    """Of what the host reserves for Stable Diffusion 1.x. Counted by benchmarks/fake_cuda.py: a step of both prompts
    at 512x320 holds 0.58 of that, larger ones 0.5. With the 400 MB that the host adds there is room for a ControlNet's
    residuals too (0.76); smaller steps have the 1.2 GB that it always keeps free."""

    def __init__(self, config: SeineConfig) -> None:
        layout = unet_layout(config)
        super().__init__({"config": config, "model_channels": config.block_out_channels[0], **layout})
        self.names = HostNames(layout)
        self.facts: dict[str, str] = {}
        """What the file says of the model beside its weights, to be saved with them."""

    def process_unet_state_dict(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        return self.names.to_host(state_dict)

    def process_unet_state_dict_for_saving(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        # Files hold the reference's names, plain tensors, and the shared rotary frequencies under each of their keys.
        state_dict = self.names.to_reference(state_dict)
        plain = {key: value.clone() if key.endswith(ROTARY_KEY) else _plain(value) for key, value in state_dict.items()}
        # The host's savers know no metadata of ours.
        facts = {key: as_tensor(text) for key, text in self.facts.items()}
        return super().process_unet_state_dict_for_saving(plain) | facts

    def process_clip_state_dict_for_saving(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        return {key.replace("clip_l.", "cond_stage_model.", 1): value for key, value in state_dict.items()}


def _plain(value: Tensor) -> Tensor:
    """The tensor in the order of its dimensions, as a file holds it."""
    if value.is_contiguous():
        return value
    return value.contiguous() if type(value).to is Tensor.to else _ComputedInOrder(value)


class _ComputedInOrder(torch.nn.Parameter):
    """A weight that the host computes (with a LoRA on it, say) when the file's writer asks for it by `to`.

    Any tensor made from the host's own parameter would be the weight without the LoRA; and what it computes lies in
    memory as the weight does, while writers take its bytes as they lie.
    """

    def __new__(cls, lazy: Tensor) -> _ComputedInOrder:
        return super().__new__(cls, torch.empty(lazy.shape, dtype=lazy.dtype), requires_grad=False)

    def __init__(self, lazy: Tensor) -> None:
        self.lazy = lazy

    @property
    def device(self) -> Any:
        return self.lazy.device

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.lazy.to(*args, **kwargs).contiguous()


class AnyCond(comfy.conds.CONDConstant):
    """True for a batch where it is true for any part of it."""

    def can_concat(self, other: Any) -> bool:
        return isinstance(other, AnyCond)

    def concat(self, others: list) -> bool:
        return any(part.cond for part in [self, *others])


class SeineModel(comfy.model_base.BaseModel):
    """`gray_latent`: scaled latent values ``[4]`` of a frame to generate, where no VAE has encoded one.

    `latent_rgb`: for previews, red, green and blue (-1..1) of a unit of each scaled latent channel, and their bias,
    ``[5, 3]``; None for Stable Diffusion 1.x's. `source`: identifies the weights by content, and names their dtype.
    """

    def __init__(
        self,
        model_config: SeineModelConfig,
        gray_latent: Sequence[float] = SD1_MID_GRAY,
        latent_rgb: Sequence[Sequence[float]] | None = None,
        source: str = "",
        device=None,
    ):
        super().__init__(model_config, comfy.model_base.ModelType.EPS, device=device, unet_model=HostUNet)
        self.gray_latent = tuple(gray_latent)
        self.reads_keyframes: bool = model_config.unet_config["config"].reads_keyframes
        self.source = source
        self._kinds: Collection[str] | None = None
        self._begun = False
        if latent_rgb is not None:
            *factors, bias = latent_rgb
            self.latent_format.latent_rgb_factors, self.latent_format.latent_rgb_factors_bias = factors, bias

    @contextmanager
    def run_of(self, kinds: Collection[str]) -> Iterator[None]:
        """A run, whose prompts are of these kinds, see `kind_of`."""
        outer = self._kinds, self._begun
        self._kinds, self._begun = kinds, False
        try:
            yield
        finally:
            self._kinds, self._begun = outer

    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        if self._kinds is None or not self._begun:  # asked for each prompt, and by some nodes in every step
            self._starts_a_run(kwargs["device"])
            self._begun = True
        check_control(kwargs.get("control"))
        check_foreign_conditioning(kwargs)
        noise: Tensor = kwargs["noise"]
        mask, masked_latents = kwargs.get(MASK), kwargs.get(MASKED_LATENTS)
        frames = kwargs.get(FRAMES) or noise.shape[0]
        rows = noise.shape[0]
        if rows % frames:
            raise ValueError(
                f"The conditioning is for clips of {frames} frames, the latent has {rows}. Use the latent of the same "
                "SEINE Image to Video node, or a whole number of its clips."
            )
        if kwargs.get("cross_attn") is not None:
            kwargs["cross_attn"] = prompt_rows(kwargs["cross_attn"], frames, rows // frames)
        if mask is not None and not self.reads_keyframes:
            refuse_keyframes("positive, negative")
        if self._kinds is not None or is_timed(kwargs):
            check_own_prompt(kind_of(kwargs, rows), self._kinds or ())
        conds = {
            "num_video_frames": comfy.conds.CONDConstant(frames),
            "videos": comfy.conds.CONDConstant(rows // frames),
            "prompt_per_frame": AnyCond(kwargs.get("cross_attn") is not None and len(kwargs["cross_attn"]) == rows > 1),
        }
        if self.reads_keyframes:
            if masked_latents is not None:
                check_shapes(masked_latents, noise, kwargs.get("latent_image"))
            keyframes = self._keyframes(mask, masked_latents, frames, noise, kwargs["device"])
            conds["c_concat"] = comfy.conds.CONDNoiseShape(keyframes)
        # Ours first: the host compares them in order and stops at the first that does not fit.
        return conds | {key: value for key, value in super().extra_conds(**kwargs).items() if key not in conds}

    def _starts_a_run(self, device: torch.device) -> None:
        """On the device, and on those of the copies that the host splits a run over, which it asks for nothing."""
        copies = self.current_patcher.get_additional_models_with_key("multigpu") if self.current_patcher else ()
        for model, place in ((self, device), *((copy.model, copy.load_device) for copy in copies)):
            model.diffusion_model.starts_a_run(place, model.get_dtype_inference())

    def _keyframes(
        self, mask: Tensor | None, masked_latents: Tensor | None, frames: int, noise: Tensor, device: Any
    ) -> Tensor:
        """Mask and masked latents of every row of `noise`, ``[rows, 5, h, w]``."""
        if masked_latents is None:
            gray = torch.tensor(self.gray_latent, dtype=torch.float32, device=device).view(1, -1, 1, 1)
            masked_latents = gray.expand(frames, -1, *noise.shape[-2:])
        else:
            masked_latents = self.process_latent_in(masked_latents.to(device))
        if mask is None:
            mask = torch.ones(frames, 1, *noise.shape[-2:], device=device)
        mask, masked_latents = fit_to_latents(mask.to(device), masked_latents, noise.shape[-2:])
        # Of one clip, for all of them; or of each, where their kept frames are their own.
        parts = [part.repeat(len(noise) // len(part), 1, 1, 1) for part in (mask, masked_latents)]
        return torch.cat(parts, dim=1)

    def resize_cond_for_context_window(self, cond_key, cond_value, window, x_in, device, retain_index_list=()):
        """Within a context window the clip is as long as the window (and its anchor frame, where the host adds one)."""
        if cond_key != "num_video_frames":
            return None
        anchor = getattr(window, "causal_anchor_index", None)
        frames = len(window.index_list) + (anchor is not None and anchor >= 0)
        return comfy.conds.CONDConstant(frames)
