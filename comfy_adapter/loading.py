"""SEINE files as the host's MODEL, CLIP and VAE."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import comfy.diffusers_convert
import comfy.model_management as management
import comfy.model_patcher
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import torch
from torch import Tensor

from ..seine_model.base import TEXT_MODEL_PREFIX, read_base, text_encoder_weights, vae_weights
from ..seine_model.checkpoint import (
    VAE_PREFIX,
    CheckpointError,
    checked_weights,
    infer_config,
    read_checkpoint,
    strip_prefix,
)
from ..seine_model.config import SeineConfig
from ..seine_model.facts import (
    CONFIG_KEY,
    GRAY_LATENT_KEY,
    LATENT_RGB_KEY,
    TEXT_ENCODER_HEADS_KEY,
    as_tensor,
    carried,
    gray_latent_of,
    latent_rgb_of,
    text_encoder_heads_of,
)
from ..seine_model.quantised import Scale
from ..seine_model.reading import check_values, listed
from .control import prepare_controls
from .files import embeddings_folders
from .loras import prepare_loras
from .memory import ran_out
from .model import SD1_MID_GRAY, SeineModel, SeineModelConfig
from .narrow_vae import leave_out_zero_channels
from .reading import read_file
from .run_checks import prepare_run_checks
from .weights import prepare_weights, small_as_computed

WEIGHT_DTYPES = {
    "default": None,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp32": torch.float32,
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}

_VOCABULARY, _POSITIONS = 49408, 77
"""Of the host's tokenizer: what it may ask for, and how many tokens it always gives."""
_OPTIONAL_VAE_KEYS = {"vae_shift"}


VALUES_SEEN = 64
"""Of each tensor, to tell models apart: reading all of a file would take longer than making a window."""


class SeineFile(NamedTuple):
    """A checkpoint that was read and found to hold a SEINE UNet: `weights`, without a bundle's prefix."""

    path: Path
    state_dict: dict[str, Tensor]
    metadata: dict[str, str]
    config: SeineConfig
    weights: dict[str, Tensor]
    scales: dict[str, Scale]
    """Of the weights that are stored in eight bits."""


def load_model(path: Path, weight_dtype: torch.dtype | None = None, disable_dynamic: bool = False) -> Any:
    """A MODEL from a SEINE file. Raises CheckpointError for a file that is not one."""
    return _model(_read_model_file(path), weight_dtype, disable_dynamic)


def load_bundle(path: Path, base: Path | None, weight_dtype: torch.dtype | None = None) -> tuple[Any, Any, Any]:
    """MODEL, CLIP and VAE; the latter two from `base` (SD 1.x file or diffusers folder) or, where None, from `path`.

    Raises CheckpointError for missing or unsuitable parts, before anything large is built.
    """
    file = _read_model_file(path)
    source, width = base or path, file.config.cross_attention_dim
    try:
        parts = (file.state_dict, file.metadata) if base is None else read_base(base, read_file)
        text_encoder, heads = _text_encoder(*parts, source.name, width)
        vae = _vae(_vae_weights(parts[0], source.name), source.name)
    except CheckpointError as error:
        raise CheckpointError(f"base_name: {error} See the README on which files go where.") from error
    clip = _clip(text_encoder, heads)
    # What the host makes another of, on another device or without paging, it loads anew.
    clip.patcher.cached_patcher_init = (_load_clip_patcher, (source, width))
    vae.patcher.cached_patcher_init = (_load_vae_patcher, (source,))
    return _model(file, weight_dtype), clip, vae


def _load_clip_patcher(source: Path, width: int, disable_dynamic: bool = False) -> Any:
    return _clip(*_text_encoder(*read_base(source, read_file), source.name, width), disable_dynamic).patcher


def _load_vae_patcher(source: Path, disable_dynamic: bool = False) -> Any:
    return _vae(_vae_weights(read_base(source, read_file)[0], source.name), source.name).patcher


def _text_encoder(
    parts: dict[str, Tensor], facts: dict[str, str], name: str, width: int
) -> tuple[dict[str, Tensor], int]:
    """Weights of the text encoder, and how many heads they have."""
    weights = text_encoder_weights(parts, name, width)
    heads = _check_tokens(weights, facts, name)
    check_values(weights, f"{name}:", torch.finfo(torch.float16).max)
    return strip_prefix(weights, TEXT_MODEL_PREFIX), heads


def _vae_weights(parts: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    weights = strip_prefix(vae_weights(parts, name), VAE_PREFIX)
    check_values(weights, f"{name}:", torch.finfo(torch.float16).max)
    return weights


def _read_model_file(path: Path) -> SeineFile:
    try:
        state_dict, metadata = read_checkpoint(path, read_file)
        config = infer_config(state_dict, metadata)
        weights, scales = checked_weights(state_dict, config)
        gray_latent_of(metadata), latent_rgb_of(metadata)
    except CheckpointError as error:
        raise CheckpointError(f"model_name {path.name}: {error}") from error
    return SeineFile(path, state_dict, metadata, config, weights, scales)


def _model(file: SeineFile, weight_dtype: torch.dtype | None, disable_dynamic: bool = False) -> Any:
    load_device, offload_device = management.get_torch_device(), management.unet_offload_device()
    model_config = SeineModelConfig(file.config)
    patcher_init = (load_model, (file.path, weight_dtype))
    weights = prepare_weights(file.weights, file.scales, file.path.name, weight_dtype, model_config, load_device)
    kept = carried(file.metadata, (GRAY_LATENT_KEY, LATENT_RGB_KEY))
    model_config.facts = {CONFIG_KEY: json.dumps(file.config.to_dict()), **kept}
    held = "scaled" if model_config.custom_operations else model_config.unet_config["dtype"]
    source = f"{identity_of(weights)} {held}"
    model = SeineModel(model_config, gray_latent_of(kept) or SD1_MID_GRAY, latent_rgb_of(kept), source)

    patchers = comfy.model_patcher
    # Looked up now: the host rebinds it at start-up where it can page weights in.
    patcher_class = patchers.ModelPatcher if disable_dynamic else patchers.CoreModelPatcher
    patcher = patcher_class(model, load_device=load_device, offload_device=offload_device)
    if not management.is_device_cpu(offload_device):
        model.to(offload_device)
    if patcher.is_dynamic():
        weights = small_as_computed(weights, model.diffusion_model.network, model.get_dtype_inference())
    model.load_model_weights(weights, "", assign=patcher.is_dynamic())
    prepare_controls(patcher)
    prepare_loras(patcher)
    prepare_run_checks(patcher)
    patcher.cached_patcher_init = patcher_init
    return patcher


def identity_of(weights: dict[str, Tensor]) -> str:
    """Tells weights apart by content, whatever their file is called: by names, shapes, and some values of each."""
    digest = hashlib.sha256()
    for key in sorted(weights):
        value = weights[key].flatten()
        some = value[:: max(1, len(value) // VALUES_SEEN)].contiguous().view(torch.uint8)
        digest.update(f"{key} {value.dtype} {list(weights[key].shape)}".encode() + some.numpy().tobytes())
    return digest.hexdigest()


def _check_tokens(text_encoder: dict[str, Tensor], facts: dict[str, str], name: str) -> int:
    """Its number of heads. CheckpointError where it cannot read what the host's tokenizer writes."""
    prefix = TEXT_MODEL_PREFIX + "text_model.embeddings."
    vocabulary, width = text_encoder[prefix + "token_embedding.weight"].shape
    positions = len(text_encoder[prefix + "position_embedding.weight"])
    if vocabulary != _VOCABULARY or positions != _POSITIONS:
        raise CheckpointError(
            f"{name}: its text encoder knows {vocabulary} tokens at {positions} positions, the tokenizer gives "
            f"{_POSITIONS} of {_VOCABULARY}. Choose Stable Diffusion 1.4 or 1.5."
        )
    try:
        return text_encoder_heads_of(facts, width)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from error


def _vae(weights: dict[str, Tensor], name: str) -> Any:
    """The host's VAE. CheckpointError where the weights are not all of one of its 4-channel image VAEs."""
    if any(key.startswith("decoder.up_blocks.") for key in weights):
        weights = comfy.diffusers_convert.convert_vae_state_dict(weights)
    problem = "it is of another kind than Stable Diffusion 1.x's"
    try:
        vae = comfy.sd.VAE(sd=dict(weights))
    except Exception as error:  # whatever building a network from shapes that fit none raises
        if ran_out(error):
            raise
        vae, problem = None, _shape_lines(error) or problem
    if vae is not None and vae.first_stage_model is not None:
        expected = vae.first_stage_model.state_dict().keys()
        missing = [key for key in expected if key not in weights and key not in _OPTIONAL_VAE_KEYS]
        if not missing and (vae.latent_channels, vae.latent_dim, vae.upscale_ratio) == (4, 2, 8):
            leave_out_zero_channels(vae.first_stage_model)
            return vae
        if missing:
            problem = f"{len(missing)} missing: {listed(missing)}"
    raise CheckpointError(
        f"{name}: its VAE cannot be used, {problem}. The file is incomplete or of another model: fetch it again, or "
        "choose Stable Diffusion 1.4 or 1.5."
    )


def _shape_lines(error: Exception) -> str:
    """What PyTorch says of weights whose shapes differ; nothing of other errors."""
    return listed([line.strip() for line in str(error).splitlines() if "size mismatch for" in line])


def _clip(text_encoder: dict[str, Tensor], heads: int, disable_dynamic: bool = False) -> Any:
    """The host's CLIP, with its own tokenizer, at the geometry of these weights (SD 1.x's is the host's default)."""
    vocabulary, width = text_encoder["text_model.embeddings.token_embedding.weight"].shape
    layers = {key.split(".")[3] for key in text_encoder if key.startswith("text_model.encoder.layers.")}
    geometry = {
        "hidden_act": "quick_gelu",
        "hidden_size": width,
        "intermediate_size": text_encoder["text_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        "num_attention_heads": heads,
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
    clip = comfy.sd.CLIP(target, embedding_directory=embeddings_folders(), disable_dynamic=disable_dynamic)
    clip.load_sd(text_encoder)
    # The host's savers write what modules hold, and no metadata.
    clip.cond_stage_model.clip_l.register_buffer(TEXT_ENCODER_HEADS_KEY, as_tensor(json.dumps(heads)))
    return clip
