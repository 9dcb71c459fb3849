"""The text encoder and VAE of Stable Diffusion 1.x, which SEINE works with: where they are and whether they fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from .checkpoint import TEXT_ENCODER_PREFIX, VAE_PREFIX, strip_prefix
from .facts import TEXT_ENCODER_HEADS_KEY
from .file_kinds import CheckpointError
from .quantised import plain_weights
from .reading import FLOATS, Reader, listed, map_file, read_checkpoint, shape_problems

TEXT_MODEL_PREFIX = TEXT_ENCODER_PREFIX + "transformer."
_SD1_SCALING_FACTOR = 0.18215
_LATENT_CHANNELS = 4


def read_base(base: str | Path, read: Reader = map_file) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of an SD 1.x single file, or text encoder and VAE of a diffusers folder under the same prefixes.

    The second value is what the base says of itself (see `facts`). Raises CheckpointError where a part is missing or
    cannot be read.
    """
    base = Path(base)
    try:
        if not base.exists():
            raise CheckpointError(f"base {base}: there is no such file or folder: choose another")
        if not base.is_dir():
            return read_checkpoint(base, read)
        return _read_folder(base, read)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CheckpointError(f"base {base} cannot be read: {reason}. Check its permissions.") from error
    except CheckpointError as error:
        raise error if str(error).startswith("base ") else CheckpointError(f"base: {error}") from error


def _read_folder(base: Path, read: Reader) -> tuple[dict[str, Tensor], dict[str, str]]:
    if (base / "text_encoder_2").exists():
        raise CheckpointError(_not_sd1(f"base {base.name}", "the text encoders and VAE of SDXL or SD 3"))
    parts = {}
    for folder, *stems in (("text_encoder", "model", "pytorch_model"), ("vae", "diffusion_pytorch_model")):
        file = _weights_file(base / folder, *stems)
        try:
            parts[folder], _ = read_checkpoint(file, read)
        except CheckpointError as error:
            raise CheckpointError(f"base {base.name}, {folder}/: {error}") from error
    low, high = _SD1_SCALING_FACTOR - 1e-4, _SD1_SCALING_FACTOR + 1e-4
    scale = _json(base / "vae" / "config.json").get("scaling_factor", _SD1_SCALING_FACTOR)
    if not isinstance(scale, (int, float)) or not low <= scale <= high:
        raise CheckpointError(_not_sd1(f"base {base.name}", f"a VAE with scaling factor {str(scale)[:40]}"))
    heads = _json(base / "text_encoder" / "config.json").get("num_attention_heads")
    merged = {TEXT_MODEL_PREFIX + key: value for key, value in parts["text_encoder"].items()}
    merged |= {VAE_PREFIX + key: value for key, value in parts["vae"].items()}
    return merged, {} if heads is None else {TEXT_ENCODER_HEADS_KEY: json.dumps(heads)}


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


def _json(path: Path) -> dict[str, Any]:
    """The file's content; nothing where there is no such file. Raises CheckpointError for one that is no object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"base {path.parents[1].name}: {path.parent.name}/{path.name} is damaged, it is no JSON: fetch it again."
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"base {path.parents[1].name}: {path.parent.name}/{path.name} must hold names and values, it holds "
            f"{str(content)[:40]!r}: fetch it again."
        )
    return content


def _not_sd1(name: str, found: str) -> str:
    return f"{name} has {found}, which SEINE cannot use. Choose Stable Diffusion 1.4 or 1.5."


def text_encoder_weights(state_dict: Mapping[str, Tensor], name: str, width: int) -> dict[str, Tensor]:
    """The text encoder under its bundle keys, without position_ids; `name` is what messages call the file.

    CheckpointError where it is not CLIP's or not `width` wide.
    """
    found = {
        key if key.startswith("text_model.") else f"text_model.{key}": value
        for key, value in _plain(strip_prefix(state_dict, TEXT_MODEL_PREFIX), name).items()
        if not key.endswith("position_ids") and not key.startswith("text_projection.")
    }
    if not found:
        if any(key.startswith(("conditioner.", TEXT_ENCODER_PREFIX + "model.")) for key in state_dict):
            raise CheckpointError(_not_sd1(name, "the text encoder of SD 2 or SDXL"))
        raise CheckpointError(f"{name} has no text encoder in it. Choose Stable Diffusion 1.4 or 1.5.")
    expected = _clip_shapes(found)
    problems = [f"missing {key}" for key in sorted(set(expected) - set(found))]
    problems += [f"unexpected {key[:120]}" for key in sorted(set(found) - set(expected))]
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise CheckpointError(
            f"{name}: its text encoder is not CLIP's: {', '.join(problems[:4])}{more}. Choose Stable "
            "Diffusion 1.4 or 1.5."
        )
    given = expected["text_model.final_layer_norm.weight"][0]
    if given != width:
        raise CheckpointError(
            f"{name}: its text encoder is {given} wide, this SEINE model reads {width}. Choose Stable "
            "Diffusion 1.4 or 1.5 for the published model (768), not SD 2 or SDXL."
        )
    wrong = shape_problems(found, expected)
    if wrong:
        raise CheckpointError(
            f"{name}: its text encoder is not CLIP's: {wrong}. It is damaged: fetch it again, or choose Stable "
            "Diffusion 1.4 or 1.5."
        )
    return {TEXT_MODEL_PREFIX + key: value for key, value in found.items()}


def _clip_shapes(found: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of a CLIP text encoder of this one's width, inner width, vocabulary, positions and layers."""

    def sides(key: str) -> tuple[int, int]:
        tensor = found.get(key)
        return tuple(tensor.shape) if tensor is not None and tensor.ndim == 2 else (0, 0)

    layers = {key.split(".")[3] for key in found if key.startswith("text_model.encoder.layers.")}
    vocabulary, width = sides("text_model.embeddings.token_embedding.weight")
    positions, _ = sides("text_model.embeddings.position_embedding.weight")
    inner, _ = sides("text_model.encoder.layers.0.mlp.fc1.weight")
    layer = {f"self_attn.{name}_proj": (width, width) for name in ("q", "k", "v", "out")}
    layer |= {"layer_norm1": (width,), "layer_norm2": (width,), "mlp.fc1": (inner, width), "mlp.fc2": (width, inner)}
    shapes: dict[str, tuple[int, ...]] = {
        "text_model.embeddings.token_embedding.weight": (vocabulary, width),
        "text_model.embeddings.position_embedding.weight": (positions, width),
        "text_model.final_layer_norm.weight": (width,),
        "text_model.final_layer_norm.bias": (width,),
    }
    for index in range(max(1, len(layers))):
        for part, shape in layer.items():
            shapes[f"text_model.encoder.layers.{index}.{part}.weight"] = shape
            shapes[f"text_model.encoder.layers.{index}.{part}.bias"] = shape[:1]
    return shapes


def vae_weights(state_dict: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The VAE under its bundle keys. CheckpointError where it is missing or not one of 4 latent channels."""
    left_from_training = (VAE_PREFIX + "loss.", VAE_PREFIX + "model_ema.")
    found = {
        key: value
        for key, value in state_dict.items()
        if key.startswith(VAE_PREFIX) and not key.startswith(left_from_training)
    }
    found = _plain(found, name)
    for half in ("encoder", "decoder"):
        if not any(f"{half}." in key for key in found):
            raise CheckpointError(f"{name} has no VAE {half} in it. Choose Stable Diffusion 1.4 or 1.5.")
    for first in ("decoder.conv_in.weight", "taesd_decoder.1.weight"):
        given = found.get(VAE_PREFIX + first)
        if given is not None and (given.ndim != 4 or given.shape[1] != _LATENT_CHANNELS):
            latents = f"{given.shape[1]} latent channels" if given.ndim == 4 else "another kind"
            raise CheckpointError(_not_sd1(name, f"a VAE of {latents}"))
    wrong = {key: str(value.dtype).removeprefix("torch.") for key, value in found.items() if value.dtype not in FLOATS}
    if wrong:
        words = [f"{key} is {dtype}" for key, dtype in wrong.items()]
        raise CheckpointError(f"{name}: its VAE is no floating-point numbers: {listed(words)}. Fetch it again.")
    return found


def _plain(weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Those stored in eight bits with scales as plain numbers: both parts are small, and made for no other."""
    try:
        return plain_weights(weights)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from error
