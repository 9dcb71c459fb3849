"""What a file says about its model beside the weights: configuration, gray latent, preview colours, attention heads.

In .safetensors metadata, or, where another program saves the model and drops the metadata, in tensors of these names.
Of a diffusers folder the configuration is a file beside the weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .config import SeineConfig
from .file_kinds import CheckpointError

CONFIG_KEY = "seine_config"
GRAY_LATENT_KEY = "seine_gray_latent"
"""Of a bundle with a VAE of its own: scaled latent of a mid-gray image, JSON list of 4."""
LATENT_RGB_KEY = "seine_latent_rgb"
"""Of the same: colours of the scaled latents for previews, JSON list of 4 channels and a bias, each with red, green and
blue in -1..1."""
TEXT_ENCODER_HEADS_KEY = "text_encoder_heads"

_KEYS = (CONFIG_KEY, GRAY_LATENT_KEY, LATENT_RGB_KEY, TEXT_ENCODER_HEADS_KEY)
_LONGEST = 2**16
_LARGEST_NUMBER = 1e4
_CLIP_HEAD_WIDTH = 64
_DIFFUSERS_WEIGHTS, _DIFFUSERS_CLASS = "diffusion_pytorch_model", "UNet3DConditionModel"
"""How diffusers names files of weights, and what the official code names the network."""


def as_tensor(text: str) -> Tensor:
    """The text's bytes."""
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def take_facts(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors that are weights, and those that are facts as text, under their keys without a prefix.

    Raises CheckpointError for a fact that is no text.
    """
    weights, found = {}, {}
    for key, value in tensors.items():
        name = key.rpartition(".")[2]
        if name not in _KEYS:
            weights[key] = value
            continue
        if value.dtype != torch.uint8 or value.ndim != 1 or value.numel() > _LONGEST:
            raise CheckpointError(f"{key} is no text of {_LONGEST} bytes or less: the file is damaged, fetch it again.")
        found[name] = bytes(value.tolist()).decode("utf-8", "replace")
    return weights, found


def facts_beside(weights: Path) -> dict[str, str]:
    """The configuration in the config.json of a diffusers folder's UNet; nothing of other files or other networks."""
    if not weights.name.startswith(_DIFFUSERS_WEIGHTS):
        return {}
    try:
        with weights.with_name("config.json").open(encoding="utf-8") as file:
            text = file.read(_LONGEST)
        content = json.loads(text)
    except (OSError, ValueError, RecursionError):  # the shapes of the weights say nearly all of it
        return {}
    ours = isinstance(content, dict) and content.get("_class_name") == _DIFFUSERS_CLASS
    return {CONFIG_KEY: text} if ours else {}


def config_of(facts: Mapping[str, str]) -> SeineConfig | None:
    """None where the file does not say. Raises CheckpointError for a configuration that is none of SEINE's."""
    if CONFIG_KEY not in facts:
        return None
    try:
        return SeineConfig.from_dict(_json(facts, CONFIG_KEY))
    except ValueError as error:
        raise CheckpointError(
            f"SEINE UNet: the configuration in this file cannot be used: {error}. Fetch the file again or convert the "
            "published one."
        ) from error


def gray_latent_of(facts: Mapping[str, str]) -> list[float] | None:
    """Four numbers; None where the file does not say. Raises CheckpointError for anything else."""
    if GRAY_LATENT_KEY not in facts:
        return None
    gray = _json(facts, GRAY_LATENT_KEY)
    if not _numbers(gray, 4):
        raise _wrong(GRAY_LATENT_KEY, "a list of 4 numbers", gray)
    return gray


def latent_rgb_of(facts: Mapping[str, str]) -> list[list[float]] | None:
    """``[5, 3]``; None where the file does not say. Raises CheckpointError for anything else."""
    if LATENT_RGB_KEY not in facts:
        return None
    rows = _json(facts, LATENT_RGB_KEY)
    if not isinstance(rows, list) or len(rows) != 5 or not all(_numbers(row, 3) for row in rows):
        raise _wrong(LATENT_RGB_KEY, "a list of 5 lists of 3 numbers", rows)
    return rows


def text_encoder_heads_of(facts: Mapping[str, str], width: int) -> int:
    """CLIP's 64 dimensions for each where the file does not say. Raises CheckpointError for what does not divide it."""
    if TEXT_ENCODER_HEADS_KEY not in facts:
        heads = max(1, width // _CLIP_HEAD_WIDTH)
    else:
        heads = _json(facts, TEXT_ENCODER_HEADS_KEY)
    if not isinstance(heads, int) or isinstance(heads, bool) or heads < 1 or width % heads:
        raise _wrong(TEXT_ENCODER_HEADS_KEY, f"a whole number that divides the text encoder's width, {width}", heads)
    return heads


def _json(facts: Mapping[str, str], key: str) -> Any:
    text = facts[key]
    try:
        return json.loads(text[:_LONGEST])
    except (ValueError, RecursionError) as error:
        raise _wrong(key, "JSON", text) from error


def _numbers(values: Any, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(map(_is_number, values))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= _LARGEST_NUMBER


def _wrong(key: str, wanted: str, given: Any) -> CheckpointError:
    return CheckpointError(
        f"{key}, the configuration in this file, must be {wanted}, it is {str(given)[:60]!r}: the file is damaged or "
        "was written by another program. Fetch it again or convert the published one."
    )


def check_facts(facts: Mapping[str, str]) -> None:
    """CheckpointError for a gray latent or preview colours that are none."""
    gray_latent_of(facts)
    latent_rgb_of(facts)


def carried(facts: Mapping[str, str], keys: Iterable[str] = _KEYS) -> dict[str, str]:
    """What of a file's metadata is about the model."""
    return {key: facts[key] for key in keys if key in facts}
