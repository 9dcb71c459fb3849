"""SEINE files as the host's MODEL, CLIP and VAE."""

from __future__ import annotations

import json
import pickle
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import comfy.model_management as management
import comfy.model_patcher
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import comfy.utils
import torch
from torch import Tensor

from ..seine_model.base import (
    TEXT_ENCODER_HEADS_KEY,
    TEXT_MODEL_PREFIX,
    read_base,
    text_encoder_weights,
    vae_weights,
)
from ..seine_model.checkpoint import (
    GRAY_LATENT_KEY,
    LATENT_RGB_KEY,
    SAFETENSORS_SUFFIXES,
    VAE_PREFIX,
    CheckpointError,
    check_state_dict,
    exact_rotary_frequencies,
    infer_config,
    read_checkpoint,
    strip_prefix,
    unet_state_dict,
)
from ..seine_model.config import SeineConfig
from .files import embeddings_folders
from .model import SD1_MID_GRAY, SeineModel, SeineModelConfig

WEIGHT_DTYPES = {
    "default": None,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp32": torch.float32,
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}

_CLIP_HEAD_WIDTH = 64


class SeineFile(NamedTuple):
    """A checkpoint that was read and found to hold a SEINE UNet: `weights`, without a bundle's prefix."""

    path: Path
    state_dict: dict[str, Tensor]
    metadata: dict[str, str]
    config: SeineConfig
    weights: dict[str, Tensor]


def load_model(path: Path, weight_dtype: torch.dtype | None = None, disable_dynamic: bool = False) -> Any:
    """A MODEL from a SEINE file. Raises CheckpointError for a file that is not one."""
    return _model(_read_model_file(path), weight_dtype, disable_dynamic)


def load_bundle(path: Path, base: Path | None, weight_dtype: torch.dtype | None = None) -> tuple[Any, Any, Any]:
    """MODEL, CLIP and VAE; the latter two from `base` (SD 1.x file or diffusers folder) or, where None, from `path`.

    Raises CheckpointError for missing or unsuitable parts, before anything large is built.
    """
    file = _read_model_file(path)
    try:
        parts, metadata = (file.state_dict, file.metadata) if base is None else read_base(base, _read_base_file)
        name = (base or path).name
        text_encoder = text_encoder_weights(parts, name, file.config.cross_attention_dim)
        vae_dict = strip_prefix(vae_weights(parts, name), VAE_PREFIX)
    except CheckpointError as error:
        raise CheckpointError(f"base_name: {error} See the README on which files go where.") from error
    model = _model(file, weight_dtype)
    vae = comfy.sd.VAE(sd=vae_dict)
    vae.throw_exception_if_invalid()
    return model, _clip(strip_prefix(text_encoder, TEXT_MODEL_PREFIX), metadata), vae


def _read_model_file(path: Path) -> SeineFile:
    try:
        state_dict, metadata = read_checkpoint(path)
        config = infer_config(state_dict, metadata)
        weights = unet_state_dict(state_dict)
        check_state_dict(weights, config)
    except CheckpointError as error:
        raise CheckpointError(f"model_name {path.name}: {error}") from error
    return SeineFile(path, state_dict, metadata, config, weights)


def _model(file: SeineFile, weight_dtype: torch.dtype | None, disable_dynamic: bool = False) -> Any:
    weights, metadata = file.weights, file.metadata
    parameters = sum(value.numel() for value in weights.values())
    load_device, offload_device = management.get_torch_device(), management.unet_offload_device()
    model_config = SeineModelConfig(file.config)
    supported = [torch.float16, torch.bfloat16, torch.float32]
    if weight_dtype is None:
        stored = weights["conv_in.weight"].dtype
        weight_dtype = management.unet_dtype(model_params=parameters, supported_dtypes=supported, weight_dtype=stored)
    model_config.set_inference_dtype(weight_dtype, _cast_dtype(weight_dtype, load_device, supported))
    gray = json.loads(metadata[GRAY_LATENT_KEY]) if GRAY_LATENT_KEY in metadata else SD1_MID_GRAY
    latent_rgb = json.loads(metadata[LATENT_RGB_KEY]) if LATENT_RGB_KEY in metadata else None
    found = file.path.stat()
    source = f"{file.path.name} {found.st_size} {found.st_mtime_ns} {weight_dtype}"
    model = SeineModel(model_config, gray, latent_rgb, source)

    patchers = comfy.model_patcher
    # Looked up now: the host rebinds it at start-up where it can page weights in.
    patcher_class = patchers.ModelPatcher if disable_dynamic else patchers.CoreModelPatcher
    patcher = patcher_class(model, load_device=load_device, offload_device=offload_device)
    if not management.is_device_cpu(offload_device):
        model.to(offload_device)
    model.load_model_weights(exact_rotary_frequencies(weights), "", assign=patcher.is_dynamic())
    patcher.cached_patcher_init = (load_model, (file.path, weight_dtype))
    return patcher


def _cast_dtype(weight_dtype: torch.dtype, device: torch.device, supported: list[torch.dtype]) -> torch.dtype | None:
    """What weights are cast to where they are used; None where they are computed with as they are stored.

    The host takes every CPU for slow in bfloat16. With the instructions for it, bf16 takes half the time of fp32.
    """
    if weight_dtype == torch.bfloat16 and management.is_device_cpu(device) and cpu_has_bfloat16():
        return None
    return management.unet_manual_cast(weight_dtype, device, supported)


def cpu_has_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16, as far as this PyTorch can tell."""
    return any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))


def _read_base_file(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if path.suffix.lower() in SAFETENSORS_SUFFIXES:
        return read_checkpoint(path)
    try:  # the host knows, and safely skips, what training frameworks leave in Stable Diffusion's .ckpt
        return comfy.utils.load_torch_file(str(path), safe_load=True), {}
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path.name} cannot be read ({type(error).__name__}). It is damaged or holds more than plain tensors: use "
            "a .safetensors file of Stable Diffusion 1.4 or 1.5."
        ) from error


def _clip(text_encoder: dict[str, Tensor], metadata: dict[str, str]) -> Any:
    """The host's CLIP, with its own tokenizer, at the geometry of these weights (SD 1.x's is the host's default)."""
    vocabulary, width = text_encoder["text_model.embeddings.token_embedding.weight"].shape
    layers = {key.split(".")[3] for key in text_encoder if key.startswith("text_model.encoder.layers.")}
    geometry = {
        "hidden_act": "quick_gelu",
        "hidden_size": width,
        "intermediate_size": text_encoder["text_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        "num_attention_heads": int(metadata.get(TEXT_ENCODER_HEADS_KEY, width // _CLIP_HEAD_WIDTH)),
        "num_hidden_layers": len(layers),
        "max_position_embeddings": text_encoder["text_model.embeddings.position_embedding.weight"].shape[0],
        "vocab_size": vocabulary,
        "eos_token_id": vocabulary - 1,
    }
    # Not in SD 1.x files; the host's class has it, for pooled outputs SEINE does not use.
    text_encoder["text_projection.weight"] = torch.eye(width)
    encoder = partial(comfy.sd1_clip.SDClipModel, textmodel_json_config=geometry, return_projected_pooled=False)
    tokenizer = partial(
        comfy.sd1_clip.SD1Tokenizer, tokenizer=partial(comfy.sd1_clip.SDTokenizer, embedding_size=width)
    )
    target = comfy.supported_models_base.ClipTarget(tokenizer, comfy.sd1_clip.SD1ClipModel)
    target.params = {"clip_model": encoder}
    clip = comfy.sd.CLIP(target, embedding_directory=embeddings_folders())
    clip.load_sd(text_encoder)
    return clip
