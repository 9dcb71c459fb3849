"""SEINE checkpoints: the published pickle, .safetensors, a UNet alone or a bundle with text encoder and VAE."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .config import KEYFRAME_CHANNELS, TEXT_ONLY_CHANNELS, SeineConfig
from .device_choices import in_order
from .facts import CONFIG_KEY, GRAY_LATENT_KEY, LATENT_RGB_KEY, config_of
from .families import refuse_other_models
from .file_kinds import SAFETENSORS_SUFFIXES, CheckpointError
from .quantised import Scale, dequantised, largest_values, scales_of
from .reading import check_values, read_checkpoint, shape_problems
from .temporal import rotary_frequencies
from .unet import SeineUNet3D

__all__ = [
    "CONFIG_KEY",
    "GRAY_LATENT_KEY",
    "LATENT_RGB_KEY",
    "SAFETENSORS_SUFFIXES",
    "CheckpointError",
    "check_state_dict",
    "checked_weights",
    "exact_rotary_frequencies",
    "infer_config",
    "load_unet",
    "read_checkpoint",
    "stored_dtype",
    "strip_prefix",
    "unet_state_dict",
]

UNET_PREFIX = "model.diffusion_model."
TEXT_ENCODER_PREFIX = "cond_stage_model."
VAE_PREFIX = "first_stage_model."
ROTARY_KEY = "rotary_emb.freqs"
"""How the keys of the shared rotary frequencies end."""
_TEMPORAL_QUERY = "attn_temp.to_q.weight"

_IN_CHANNELS, _OUT_CHANNELS = (KEYFRAME_CHANNELS, TEXT_ONLY_CHANNELS), 4
_CONSTANT_ROUNDED = 2**-3 * 1.01, 2**-10 * 1.01
"""How far from the rotary frequencies, relatively or absolutely, their values in the coarsest format are."""


def unet_state_dict(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The UNet's entries, without a bundle's prefix; the whole file where it has no such prefix.

    The rotary frequencies, which all temporal attentions share, are under each of their keys: some savers keep what is
    shared once.
    """
    unet = strip_prefix(state_dict, UNET_PREFIX) or dict(state_dict)
    shared = next((value for key, value in unet.items() if key.endswith(ROTARY_KEY)), None)
    if shared is not None:
        attentions = [key.removesuffix(_TEMPORAL_QUERY) for key in unet if key.endswith(_TEMPORAL_QUERY)]
        unet |= {key: shared for name in attentions if (key := f"{name}attn_temp.{ROTARY_KEY}") not in unet}
    return unet


def strip_prefix(state_dict: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries under `prefix`, without it."""
    return {key[len(prefix) :]: value for key, value in state_dict.items() if key.startswith(prefix)}


def infer_config(state_dict: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> SeineConfig:
    """The configuration from the file's metadata, else from the shapes of the UNet's weights (32 norm groups).

    Raises CheckpointError for weights of another model, and says of which.
    """
    refuse_other_models(state_dict)
    config = config_of(metadata or {}) or _config_from_shapes(unet_state_dict(state_dict))
    if config.in_channels not in _IN_CHANNELS or config.out_channels != _OUT_CHANNELS:
        raise CheckpointError(
            f"SEINE UNet: this one reads {config.in_channels} channels and gives {config.out_channels}, SEINE reads "
            f"{KEYFRAME_CHANNELS} (LaVie's base model {TEXT_ONLY_CHANNELS}) and gives {_OUT_CHANNELS}. Choose the "
            "published seine.pt or a conversion."
        )
    return config


def _config_from_shapes(unet: Mapping[str, Tensor]) -> SeineConfig:
    try:
        layers = {key.split(".")[3] for key in unet if key.startswith("down_blocks.0.resnets.")}
        transformer = "down_blocks.0.attentions.0.transformer_blocks.0."
        return SeineConfig(
            in_channels=unet["conv_in.weight"].shape[1],
            out_channels=unet["conv_out.weight"].shape[0],
            block_out_channels=tuple(unet[f"down_blocks.{i}.resnets.0.conv1.weight"].shape[0] for i in range(4)),
            layers_per_block=len(layers),
            attention_head_dim=unet[transformer + "attn_temp.time_rel_pos_bias.relative_attention_bias.weight"].shape[
                1
            ],
            cross_attention_dim=unet[transformer + "attn2.to_k.weight"].shape[1],
        )
    except KeyError as error:
        raise CheckpointError(
            f"SEINE UNet: {error.args[0]} is missing. The file is incomplete or of another model: fetch it again or "
            "convert the published one."
        ) from error
    except (ValueError, IndexError) as error:
        raise CheckpointError(
            f"SEINE UNet: the configuration cannot be read from this file: {error}. It is damaged or of another model: "
            "fetch it again or convert the published one."
        ) from error


def check_state_dict(
    state_dict: Mapping[str, Tensor], config: SeineConfig, scales: Mapping[str, Scale] | None = None
) -> None:
    """Compare a UNet state_dict (no prefix) with the network of `config`; CheckpointError lists every difference.

    scales: of the weights that are stored in eight bits.
    """
    expected = SeineUNet3D(config, device="meta").state_dict()
    if not any(key in state_dict for key in expected):
        refuse_other_models(state_dict)
    problems = shape_problems(state_dict, {key: value.shape for key, value in expected.items()}, scales or {})
    if problems:
        raise CheckpointError(
            f"The weights are not those of a SEINE UNet. {problems}. The file is incomplete or of another model: fetch "
            "it again or convert the published one."
        )


def stored_dtype(key: str, tensor: Tensor, dtype: torch.dtype) -> torch.dtype:
    """What a file of `dtype` holds this tensor in.

    Rotary frequencies stay float32: half precision would turn the last of 16 frames by up to 0.0024 rad.
    """
    if not tensor.is_floating_point():
        return tensor.dtype
    return torch.float32 if key.endswith(ROTARY_KEY) else dtype


def exact_rotary_frequencies(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy where rotary frequencies are the exact float32 constants, whatever formats they have been through.

    Angles grow with the frame: what eight bits leave of them is wrong by up to 0.9 rad at the end of a clip. Others,
    which no rounding makes of the constants, are another network's own and stay.
    """
    exact = rotary_frequencies("cpu")
    relative, absolute = _CONSTANT_ROUNDED
    result = dict(state_dict)
    for key, value in state_dict.items():
        if key.endswith(ROTARY_KEY):
            stored = value.float()
            same = value.dtype.itemsize >= 4 and torch.allclose(stored, exact, rtol=1e-6, atol=0)
            rounded = value.dtype.itemsize == 1 or torch.allclose(stored, exact, rtol=relative, atol=absolute)
            result[key] = exact.clone() if rounded and not same else stored
    return result


def checked_weights(
    state_dict: Mapping[str, Tensor], config: SeineConfig
) -> tuple[dict[str, Tensor], dict[str, Scale]]:
    """The UNet's weights, found to be those of `config` and usable, and the scales of those in eight bits.

    Raises CheckpointError for others.
    """
    try:
        weights, scales = scales_of(unet_state_dict(state_dict))
    except CheckpointError as error:
        raise CheckpointError(f"SEINE UNet: {error}") from error
    check_state_dict(weights, config, scales)
    weights = exact_rotary_frequencies(weights)
    check_values({key: value for key, value in weights.items() if key not in scales}, "SEINE UNet:")
    check_values({key: largest_values(weights[key], scale) for key, scale in scales.items()}, "SEINE UNet:")
    return weights, scales


def load_unet(
    path: str | Path,
    config: SeineConfig | Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> SeineUNet3D:
    """Load a UNet from .safetensors or .pt (alone or in a bundle), ready for inference.

    config: None (from the file), a SeineConfig, or a dict in the reference's key names. Raises CheckpointError.
    """
    state_dict, metadata = read_checkpoint(path)
    if config is None:
        config = infer_config(state_dict, metadata)
    elif not isinstance(config, SeineConfig):
        config = SeineConfig.from_dict(config)
    weights, scales = checked_weights(state_dict, config)
    unet = SeineUNet3D(config, dtype=dtype, device="meta")
    weights = {key: dequantised(value, scales.get(key)) for key, value in weights.items()}
    weights = {key: value.to(device=device, dtype=stored_dtype(key, value, dtype)) for key, value in weights.items()}
    unet.load_state_dict({key: in_order(value) for key, value in weights.items()}, assign=True)
    return unet.eval().requires_grad_(False)
