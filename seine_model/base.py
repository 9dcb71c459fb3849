"""The text encoder and VAE of Stable Diffusion 1.x, which SEINE works with: where they are and whether they fit."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from .checkpoint import TEXT_ENCODER_PREFIX, VAE_PREFIX, CheckpointError, read_checkpoint, strip_prefix

TEXT_ENCODER_HEADS_KEY = "text_encoder_heads"
Reader = Callable[[Path], tuple[dict[str, Tensor], dict[str, str]]]

TEXT_MODEL_PREFIX = TEXT_ENCODER_PREFIX + "transformer."
_SD1_SCALING_FACTOR = 0.18215
_LATENT_CHANNELS = 4
_CLIP_LAYER = (
    *(f"self_attn.{name}_proj.{kind}" for name in ("q", "k", "v", "out") for kind in ("weight", "bias")),
    *(f"{name}.{kind}" for name in ("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2") for kind in ("weight", "bias")),
)


def read_base(base: str | Path, read: Reader = read_checkpoint) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of an SD 1.x single file, or text encoder and VAE of a diffusers folder under the same prefixes.

    The second value is metadata (see TEXT_ENCODER_HEADS_KEY); `read` reads one file. Raises CheckpointError where a
    part is missing.
    """
    base = Path(base)
    if not base.exists():
        raise CheckpointError(f"base {base}: there is no such file or folder")
    if base.is_file():
        try:
            return read(base)
        except CheckpointError as error:
            raise CheckpointError(f"base: {error}") from error
    if (base / "text_encoder_2").exists():
        raise CheckpointError(_not_sd1(f"base {base.name}", "the text encoders and VAE of SDXL or SD 3"))
    text_encoder, _ = read(_weights_file(base / "text_encoder", "model", "pytorch_model"))
    vae, _ = read(_weights_file(base / "vae", "diffusion_pytorch_model"))
    scale = _json(base / "vae" / "config.json").get("scaling_factor", _SD1_SCALING_FACTOR)
    if abs(scale - _SD1_SCALING_FACTOR) > 1e-4:
        raise CheckpointError(_not_sd1(f"base {base.name}", f"a VAE with scaling factor {scale}"))
    heads = _json(base / "text_encoder" / "config.json").get("num_attention_heads")
    merged = {TEXT_MODEL_PREFIX + key: value for key, value in text_encoder.items()}
    merged |= {VAE_PREFIX + key: value for key, value in vae.items()}
    return merged, {} if heads is None else {TEXT_ENCODER_HEADS_KEY: str(heads)}


def _weights_file(folder: Path, *stems: str) -> Path:
    names = [stem + ending for ending in ("", ".fp16") for stem in stems]
    names = [name + suffix for suffix in (".safetensors", ".bin") for name in names]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise CheckpointError(
        f"base {folder.parent.name}: {folder.name}/ has none of {', '.join(names)}. Choose a complete diffusers folder "
        "of Stable Diffusion 1.4 or 1.5."
    )


def _json(path: Path) -> dict:
    """The file's content; nothing where there is no such file."""
    with contextlib.suppress(FileNotFoundError):
        return json.loads(path.read_text(encoding="utf-8"))
    return {}


def _not_sd1(name: str, found: str) -> str:
    return f"{name} has {found}, which SEINE cannot use. Choose Stable Diffusion 1.4 or 1.5."


def text_encoder_weights(state_dict: Mapping[str, Tensor], name: str, width: int) -> dict[str, Tensor]:
    """The text encoder under its bundle keys, without position_ids; `name` is what messages call the file.

    CheckpointError where it is not CLIP's or not `width` wide.
    """
    found = {
        key if key.startswith("text_model.") else f"text_model.{key}": value
        for key, value in strip_prefix(state_dict, TEXT_MODEL_PREFIX).items()
        if not key.endswith("position_ids") and not key.startswith("text_projection.")
    }
    if not found:
        if any(key.startswith(("conditioner.", TEXT_ENCODER_PREFIX + "model.")) for key in state_dict):
            raise CheckpointError(_not_sd1(name, "the text encoder of SD 2 or SDXL"))
        raise CheckpointError(f"{name} has no text encoder in it. Choose Stable Diffusion 1.4 or 1.5.")
    layers = {key.split(".")[3] for key in found if key.startswith("text_model.encoder.layers.")} or {"0"}
    expected = {f"text_model.encoder.layers.{layer}.{part}" for layer in layers for part in _CLIP_LAYER}
    expected |= {f"text_model.embeddings.{kind}_embedding.weight" for kind in ("token", "position")}
    expected |= {f"text_model.final_layer_norm.{kind}" for kind in ("weight", "bias")}
    problems = [f"missing {key}" for key in sorted(expected - set(found))]
    problems += [f"unexpected {key}" for key in sorted(set(found) - expected)]
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise CheckpointError(f"{name}: its text encoder is not CLIP's: {', '.join(problems[:4])}{more}")
    given = found["text_model.embeddings.token_embedding.weight"].shape[1]
    if given != width:
        raise CheckpointError(
            f"{name}: its text encoder is {given} wide, this SEINE model reads {width}. The published model needs "
            "that of Stable Diffusion 1.4 or 1.5 (768), not of SD 2 or SDXL."
        )
    return {TEXT_MODEL_PREFIX + key: value for key, value in found.items()}


def vae_weights(state_dict: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The VAE under its bundle keys. CheckpointError where it is missing or not one of 4 latent channels."""
    left_from_training = (VAE_PREFIX + "loss.", VAE_PREFIX + "model_ema.")
    found = {
        key: value
        for key, value in state_dict.items()
        if key.startswith(VAE_PREFIX) and not key.startswith(left_from_training)
    }
    for half in ("encoder", "decoder"):
        if not any(f"{half}." in key for key in found):
            raise CheckpointError(f"{name} has no VAE {half} in it. Choose Stable Diffusion 1.4 or 1.5.")
    first = found.get(VAE_PREFIX + "decoder.conv_in.weight")
    if first is not None and first.shape[1] != _LATENT_CHANNELS:
        raise CheckpointError(_not_sd1(name, f"a VAE of {first.shape[1]} latent channels"))
    return found
