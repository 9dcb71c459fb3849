"""Reading SEINE checkpoints: the published pickle, .safetensors, a UNet alone or a bundle with text encoder and VAE."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .config import SeineConfig
from .temporal import rotary_frequencies
from .unet import SeineUNet3D

UNET_PREFIX = "model.diffusion_model."
TEXT_ENCODER_PREFIX = "cond_stage_model."
VAE_PREFIX = "first_stage_model."
CONFIG_KEY = "seine_config"
GRAY_LATENT_KEY = "seine_gray_latent"
"""Metadata of a bundle with a VAE of its own: scaled latent of a mid-gray image, JSON list of 4."""
LATENT_RGB_KEY = "seine_latent_rgb"
"""Metadata of the same: colours of the scaled latents for previews, JSON list of 4 channels and a bias, each with red,
green and blue in -1..1."""
ROTARY_KEY = "rotary_emb.freqs"
"""How the keys of the shared rotary frequencies end."""
SAFETENSORS_SUFFIXES = (".safetensors", ".sft")

_LISTED = 8


class CheckpointError(ValueError):
    """A file that is not a usable SEINE checkpoint; the message says what it is and what to do."""


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a file (memory-mapped where the format allows) and its safetensors metadata.

    Pickles are read with weights-only unpickling; an ``ema`` or ``state_dict`` entry is unwrapped. Raises
    CheckpointError for a file that is missing, truncated or holds anything but tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file")
    if path.suffix.lower() in SAFETENSORS_SUFFIXES:
        return _read_safetensors(path)
    return _read_pickle(path), {}


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(
            f"{path.name} is not a readable .safetensors file ({error}). It is damaged or was not downloaded "
            "completely: fetch it again."
        ) from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):  # only torch's zip format can be mapped
                raise
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path.name} holds more than plain tensors and is refused, since loading it could run code. Use a "
            f".safetensors file; of SEINE itself, the published seine.pt will do too. ({_first_line(error)})"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path.name} is not a readable PyTorch file ({type(error).__name__}: {_first_line(error)}). It "
            "is damaged or was not downloaded completely: fetch it again."
        ) from error
    for wrapper in ("ema", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(
            f"{path.name} is not a table of tensors. A SEINE checkpoint is a state_dict, by itself or under 'ema'."
        )
    return dict(content)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["no details"])[0]


def unet_state_dict(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The UNet's entries, without a bundle's prefix; the whole file where it has no such prefix."""
    prefixed = strip_prefix(state_dict, UNET_PREFIX)
    return prefixed or dict(state_dict)


def strip_prefix(state_dict: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries under `prefix`, without it."""
    return {key[len(prefix) :]: value for key, value in state_dict.items() if key.startswith(prefix)}


def infer_config(state_dict: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> SeineConfig:
    """The configuration from the file's metadata, else from the shapes of the UNet's weights (32 norm groups).

    Raises CheckpointError for weights of another model, and says of which.
    """
    unet = unet_state_dict(state_dict)
    try:
        if metadata and CONFIG_KEY in metadata:
            return SeineConfig.from_dict(json.loads(metadata[CONFIG_KEY]))
        _refuse_other_models(unet)
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
        raise CheckpointError(f"SEINE UNet: {error.args[0]} is missing") from error
    except (ValueError, IndexError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"SEINE UNet: the configuration cannot be read from this file: {error}") from error


def _refuse_other_models(unet: Mapping[str, Tensor]) -> None:
    keys = list(unet)
    if any("attn_temp." in key for key in keys):
        return
    if any("motion_modules." in key for key in keys):
        kind = "an AnimateDiff motion module: it goes with AnimateDiff's own nodes"
    elif any(key.startswith("input_blocks.") for key in keys) or any(".input_blocks." in key for key in keys):
        kind = "a Stable Diffusion checkpoint: use it as the base of Load SEINE Checkpoint"
    elif any(re.search(r"lora_(up|down|A|B)\b", key) for key in keys):
        kind = "a LoRA: load it with LoraLoaderModelOnly behind the SEINE loader"
    elif any(key.startswith("down_blocks.") for key in keys):
        kind = "an image UNet without SEINE's temporal attention"
    else:
        kind = f"something else (it begins with {', '.join(sorted(keys)[:3]) or 'no tensors at all'})"
    raise CheckpointError(f"This file is not a SEINE UNet but {kind}. Choose the published seine.pt or a conversion.")


def check_state_dict(state_dict: Mapping[str, Tensor], config: SeineConfig) -> None:
    """Compare a UNet state_dict (no prefix) with the network of `config`; CheckpointError lists every difference."""
    expected = SeineUNet3D(config, device="meta").state_dict()
    missing = [key for key in expected if key not in state_dict]
    unexpected = [key for key in state_dict if key not in expected]
    wrong = [
        f"{key} is {list(state_dict[key].shape)}, expected {list(expected[key].shape)}"
        for key in expected
        if key in state_dict and state_dict[key].shape != expected[key].shape
    ]
    if len(missing) == len(expected):
        _refuse_other_models(state_dict)
    problems = [
        f"{len(keys)} {name}: {_shorten(keys)}"
        for name, keys in (("missing", missing), ("unexpected", unexpected), ("of the wrong shape", wrong))
        if keys
    ]
    if problems:
        raise CheckpointError(
            "The weights are not those of a SEINE UNet. "
            + "; ".join(problems)
            + ". The file is incomplete or of another model: fetch it again or convert the published one."
        )


def _shorten(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def stored_dtype(key: str, tensor: Tensor, dtype: torch.dtype) -> torch.dtype:
    """What a file of `dtype` holds this tensor in.

    Rotary frequencies stay float32: half precision would turn the last of 16 frames by up to 0.0024 rad.
    """
    if not tensor.is_floating_point():
        return tensor.dtype
    return torch.float32 if key.endswith(ROTARY_KEY) else dtype


def exact_rotary_frequencies(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy where rotary frequencies that went through half precision are the exact float32 constants again."""
    exact = rotary_frequencies("cpu")
    result = dict(state_dict)
    for key, value in state_dict.items():
        if key.endswith(ROTARY_KEY):
            stored = value.float()
            rounded = value.dtype != torch.float32 and torch.allclose(stored, exact, rtol=2**-7)
            result[key] = exact.clone() if rounded else stored
    return result


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
    weights = unet_state_dict(state_dict)
    check_state_dict(weights, config)
    unet = SeineUNet3D(config, dtype=dtype, device="meta")
    weights = {
        key: value.to(device=device, dtype=stored_dtype(key, value, dtype))
        for key, value in exact_rotary_frequencies(weights).items()
    }
    unet.load_state_dict(weights, assign=True)
    return unet.eval().requires_grad_(False)
