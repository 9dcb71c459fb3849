"""Rounding weights to eight bits with scales, in the formats of `quantised`."""

from __future__ import annotations

import torch
from torch import Tensor

from .quantised import FP8, FULL_PRECISION, INT8, STORED, Scale

_LARGEST = {INT8: 127.0, FP8: torch.finfo(torch.float8_e4m3fn).max}
_SETTINGS = {INT8: {}, FP8: {FULL_PRECISION: True}}
_SMALLEST_SCALE = 1e-12
"""Of rows that are zero throughout."""
_KEPT_WHOLE = ("conv_in.", "conv_out.", "time_embedding.", "relative_attention_bias.")
"""Few numbers, through which all others go."""


def is_rounded(key: str, weight: Tensor) -> bool:
    """Whether a file of eight bits holds this tensor of the UNet (by the reference's name) in them."""
    return key.endswith(".weight") and weight.ndim in (2, 4) and not any(part in key for part in _KEPT_WHOLE)


def scale_of(weight: Tensor, kind: str) -> Scale:
    """The scale at which the largest number of each row (int8), or of the tensor (fp8), is the largest there is."""
    rows = weight.float().abs().flatten(1).amax(1)
    largest = rows if kind == INT8 else rows.amax().reshape(1)
    return Scale(kind, (largest / _LARGEST[kind]).clamp(min=_SMALLEST_SCALE), _SETTINGS[kind])


def rounded(weight: Tensor, scale: Scale) -> Tensor:
    """The weight as it is stored with this scale."""
    scaled = weight.float() / scale.values.view(-1, *[1] * (weight.ndim - 1))
    if scale.format == INT8:
        scaled = scaled.round_()
    limit = _LARGEST[scale.format]
    return scaled.clamp_(-limit, limit).to(STORED[scale.format])
