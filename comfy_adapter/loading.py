"""SEINE files as the host's MODEL, CLIP and VAE."""

from __future__ import annotations

import inspect
import json
import os
import pickle
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import comfy.model_management as management
import comfy.model_patcher
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import comfy.utils
import torch
from torch import Tensor

from ..seine_model.checkpoint import (
    SAFETENSORS_SUFFIXES,
    TEXT_ENCODER_PREFIX,
    VAE_PREFIX,
    CheckpointError,
    check_state_dict,
    exact_rotary_frequencies,
    infer_config,
    read_checkpoint,
    strip_prefix,
    unet_state_dict,
)
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
GRAY_LATENT_KEY = "seine_gray_latent"
TEXT_ENCODER_HEADS_KEY = "text_encoder_heads"

_CLIP_HEAD_WIDTH = 64
_TOKEN_EMBEDDING = "text_model.embeddings.token_embedding.weight"
_SD1_TEXT_WIDTH = 768


def load_model(path: Path, weight_dtype: torch.dtype | None = None, disable_dynamic: bool = False) -> Any:
    """A MODEL from a SEINE file. Raises CheckpointError for a file that is not one."""
    state_dict, metadata = read_checkpoint(path)
    return _model(state_dict, metadata, path, weight_dtype, disable_dynamic)


def load_bundle(path: Path, base: Path | None, weight_dtype: torch.dtype | None = None) -> tuple[Any, Any, Any]:
    """MODEL, CLIP and VAE; the latter two from `base` (SD 1.x file or diffusers folder) or, where None, from `path`.

    Raises CheckpointError for missing or unsuitable parts.
    """
    state_dict, metadata = read_checkpoint(path)
    width = infer_config(state_dict, metadata).cross_attention_dim
    # A base is read, and its text encoder checked, before anything large is built.
    base_dict, base_metadata = (state_dict, metadata) if base is None else _read_base(base)
    source = path.name if base is None else base.name
    text_encoder = _text_encoder_state_dict(base_dict, source)
    vae_dict = strip_prefix(base_dict, VAE_PREFIX)
    if not vae_dict:
        raise CheckpointError(_missing_part(source, "VAE"))
    _check_text_width(text_encoder, width, source)
    model = _model(state_dict, metadata, path, weight_dtype)
    vae = comfy.sd.VAE(sd=dict(vae_dict))
    if hasattr(vae, "throw_exception_if_invalid"):
        vae.throw_exception_if_invalid()
    return model, _clip(text_encoder, base_metadata), vae


def _model(
    state_dict: dict[str, Tensor],
    metadata: dict[str, str],
    path: Path,
    weight_dtype: torch.dtype | None,
    disable_dynamic: bool = False,
) -> Any:
    config = infer_config(state_dict, metadata)
    weights = unet_state_dict(state_dict)
    check_state_dict(weights, config)
    parameters = sum(value.numel() for value in weights.values())
    load_device, offload_device = management.get_torch_device(), management.unet_offload_device()
    model_config = SeineModelConfig(config)
    supported = [torch.float16, torch.bfloat16, torch.float32]
    if weight_dtype is None:
        options: dict[str, Any] = {"model_params": parameters, "supported_dtypes": supported}
        if "weight_dtype" in inspect.signature(management.unet_dtype).parameters:
            options["weight_dtype"] = weights["conv_in.weight"].dtype
        weight_dtype = management.unet_dtype(**options)
    cast_dtype = management.unet_manual_cast(weight_dtype, load_device, supported)
    model_config.set_inference_dtype(weight_dtype, cast_dtype)
    gray = tuple(json.loads(metadata[GRAY_LATENT_KEY])) if GRAY_LATENT_KEY in metadata else SD1_MID_GRAY
    model = SeineModel(model_config, gray)

    patcher_class = comfy.model_patcher.ModelPatcher
    if not disable_dynamic:  # looked up now: the host rebinds it at start-up where it can page weights in
        patcher_class = getattr(comfy.model_patcher, "CoreModelPatcher", patcher_class)
    patcher = patcher_class(model, load_device=load_device, offload_device=offload_device)
    if not management.is_device_cpu(offload_device):
        model.to(offload_device)
    assign = {"assign": True} if getattr(patcher, "is_dynamic", bool)() else {}
    model.load_model_weights(exact_rotary_frequencies(weights), "", **assign)
    patcher.cached_patcher_init = (load_model, (path, weight_dtype))
    return patcher


def _read_base(base: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if base.is_file() and base.suffix.lower() in SAFETENSORS_SUFFIXES:
        return read_checkpoint(base)
    if base.is_file():  # the host knows, and safely skips, what training frameworks leave in Stable Diffusion's .ckpt
        try:
            return comfy.utils.load_torch_file(str(base), safe_load=True), {}
        except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"base_name: {base.name} cannot be read ({type(error).__name__}). It is damaged or holds more than "
                "plain tensors: use a .safetensors file of Stable Diffusion 1.4 or 1.5."
            ) from error
    text_encoder = _first_file(base / "text_encoder", "model", "pytorch_model")
    vae = _first_file(base / "vae", "diffusion_pytorch_model")
    text_dict, metadata = read_checkpoint(text_encoder)
    merged = {f"{TEXT_ENCODER_PREFIX}transformer.{key}": value for key, value in text_dict.items()}
    merged.update({VAE_PREFIX + key: value for key, value in read_checkpoint(vae)[0].items()})
    return merged, metadata


def _first_file(folder: Path, *stems: str) -> Path:
    for stem in stems:
        for ending in (".safetensors", ".fp16.safetensors", ".bin", ".fp16.bin"):
            if (folder / (stem + ending)).is_file():
                return folder / (stem + ending)
    raise CheckpointError(f"base_name: {folder.parent.name}/{folder.name} has no {stems[0]}.safetensors in it")


def _missing_part(source: str, part: str) -> str:
    return (
        f"{source} has no {part} in it. Choose a Stable Diffusion 1.4 or 1.5 checkpoint or diffusers folder as "
        "base_name, or make one file of all parts with tools/convert_checkpoint.py."
    )


def _text_encoder_state_dict(state_dict: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """The text encoder under its transformers names; CheckpointError for other kinds than CLIP ViT-L's."""
    found = strip_prefix(state_dict, TEXT_ENCODER_PREFIX + "transformer.")
    if not found:
        other = any(key.startswith(("conditioner.", TEXT_ENCODER_PREFIX + "model.")) for key in state_dict)
        if other:
            raise CheckpointError(
                f"base_name: {source} has the text encoder of SD 2 or SDXL, which SEINE cannot read. Choose a Stable "
                "Diffusion 1.4 or 1.5 checkpoint."
            )
        raise CheckpointError(_missing_part(source, "text encoder"))
    return {
        key if key.startswith(("text_model.", "text_projection.")) else f"text_model.{key}": value
        for key, value in found.items()
        if not key.endswith("position_ids")
    }


def _check_text_width(text_encoder: dict[str, Tensor], expected: int, source: str) -> None:
    if _TOKEN_EMBEDDING not in text_encoder:
        raise CheckpointError(_missing_part(source, "complete text encoder"))
    width = text_encoder[_TOKEN_EMBEDDING].shape[1]
    if width != expected:
        raise CheckpointError(
            f"base_name: the text encoder of {source} is {width} wide, this SEINE model reads {expected}. The "
            "published model needs the one of Stable Diffusion 1.4 or 1.5 (768), not of SD 2 or SDXL."
        )


def _clip(text_encoder: dict[str, Tensor], metadata: dict[str, str]) -> Any:
    """The host's CLIP, with its own tokenizer, at the geometry of these weights (SD 1.x's is the host's default)."""
    vocabulary, width = text_encoder[_TOKEN_EMBEDDING].shape
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
    text_encoder.setdefault("text_projection.weight", torch.eye(width))
    handle, config_file = tempfile.mkstemp(suffix=".json")
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(geometry, file)
        encoder = partial(comfy.sd1_clip.SDClipModel, textmodel_json_config=config_file, return_projected_pooled=False)
        tokenizer = partial(
            comfy.sd1_clip.SD1Tokenizer, tokenizer=partial(comfy.sd1_clip.SDTokenizer, embedding_size=width)
        )
        target = comfy.supported_models_base.ClipTarget(tokenizer, comfy.sd1_clip.SD1ClipModel)
        target.params = {"clip_model": encoder}
        clip = comfy.sd.CLIP(target, embedding_directory=embeddings_folders())
    finally:
        os.unlink(config_file)
    missing, _unexpected = clip.load_sd(text_encoder)
    missing = [key for key in missing if "logit_scale" not in key and "position_ids" not in key]
    if missing:
        raise CheckpointError(
            f"The text encoder is incomplete: {len(missing)} weights are missing ({', '.join(missing[:4])} …). Fetch "
            "the base checkpoint again."
        )
    return clip
