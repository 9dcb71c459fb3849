"""What a file holds of a model's tensors in a number format, tensor by tensor, each made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from .checkpoint import UNET_PREFIX, stored_dtype
from .quantised import FP8, INT8, STORED, Scale, dequantised
from .quantising import is_rounded, rounded, scale_of

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
ROUNDED = {"int8": INT8, "fp8_scaled": FP8}
"""Formats of the UNet's weights; all else beside them is fp16."""


@dataclass(frozen=True)
class Stored:
    """A tensor of a file. `source` is the key of the tensor it is made of."""

    source: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    make: Callable[[], Tensor]


def stored(tensors: Mapping[str, Tensor], scales: Mapping[str, Scale], number_format: str) -> dict[str, Stored]:
    """Keys of the file and what they hold. `scales` are those of tensors that are rounded already, by key.

    Raises ValueError for a format that is not one of DTYPES or ROUNDED.
    """
    if number_format not in (*DTYPES, *ROUNDED):
        raise ValueError(f"number_format: choose one of {', '.join((*DTYPES, *ROUNDED))}, not {number_format!r}")
    dtype, kind = DTYPES.get(number_format, torch.float16), ROUNDED.get(number_format)
    unet = UNET_PREFIX if any(key.startswith(UNET_PREFIX) for key in tensors) else ""
    result = {}
    for key, tensor in tensors.items():
        scale = scales.get(key)
        plain = partial(dequantised, tensor, scale)
        if kind and key.startswith(unet) and is_rounded(key, tensor):
            result |= _rounded(key, plain, kind)
        else:
            wanted = stored_dtype(key, tensor, dtype) if scale is None else dtype
            result[key] = Stored(key, wanted, tuple(tensor.shape), partial(_cast, plain, wanted))
    return result


def _rounded(key: str, plain: Callable[[], Tensor], kind: str) -> dict[str, Stored]:
    weight = plain()
    scale = scale_of(weight, kind)
    beside = scale.tensors(key.removesuffix(".weight"))
    made = {name: Stored(key, value.dtype, tuple(value.shape), partial(_cast, value)) for name, value in beside.items()}
    return made | {key: Stored(key, STORED[kind], tuple(weight.shape), lambda: rounded(plain(), scale))}


def _cast(value: Tensor | Callable[[], Tensor], dtype: torch.dtype | None = None) -> Tensor:
    value = value if isinstance(value, Tensor) else value()
    return value if dtype is None else value.to(dtype)
