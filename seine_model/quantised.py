"""Weights of eight bits with scales, as ComfyUI's files hold them.

A layer is `X.weight` (int8 or float8), `X.weight_scale` (float32: one for the tensor, or one per output channel) and
`X.comfy_quant`, which names the format as JSON in bytes. Older files name the formats in their metadata instead, or
have one tensor called `scaled_fp8`, and `X.scale_weight`. A weight is its stored number times its scale.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .facts import as_tensor
from .file_kinds import CheckpointError

STORED = {
    "int8_tensorwise": torch.int8,
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e5m2": torch.float8_e5m2,
}
"""Names of the formats that are read, and what their weights are stored in."""
INT8, FP8 = "int8_tensorwise", "float8_e4m3fn"
"""Those that are written."""
FULL_PRECISION = "full_precision_matrix_mult"
"""Setting of a layer whose inputs are not to be rounded to eight bits too."""

FORMAT_KEY, SCALE_KEY, INPUT_SCALE_KEY = "comfy_quant", "weight_scale", "input_scale"
_METADATA_KEY = "_quantization_metadata"
_OLD_MARK, _OLD_NAMES = "scaled_fp8", {"scale_weight": SCALE_KEY, "scale_input": INPUT_SCALE_KEY}
_LONGEST_FORMAT = 4096
_FETCH = "fetch it again or convert the published one"
_OTHERS = (
    "Choose a file in int8, scaled fp8 or fp16: tools/convert_checkpoint.py writes them of the published seine.pt."
)


@dataclass(frozen=True)
class Scale:
    """How a layer's weight is to be read: its format, and float32 scales, ``[rows]`` of int8 and ``[1]`` of float8."""

    format: str
    values: Tensor
    settings: Mapping[str, Any] = field(default_factory=dict)
    input: Tensor | None = None
    """What inputs are divided by before they are rounded, where that was measured beforehand."""

    def tensors(self, layer: str) -> dict[str, Tensor]:
        """What a file holds beside ``layer.weight``."""
        found = {
            f"{layer}.{FORMAT_KEY}": as_tensor(json.dumps({"format": self.format, **self.settings})),
            f"{layer}.{SCALE_KEY}": self.values.view(-1, 1) if self.format == INT8 else self.values.view(()),
        }
        return found if self.input is None else found | {f"{layer}.{INPUT_SCALE_KEY}": self.input}


def in_todays_names(tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> dict[str, Tensor]:
    """The tensors, where the formats of older files are each layer's `comfy_quant`, and scales are named as today.

    Raises CheckpointError for metadata that name no formats.
    """
    if _METADATA_KEY in metadata:
        formats = _formats_of_metadata(metadata[_METADATA_KEY])
        named = {f"{layer}.{FORMAT_KEY}": as_tensor(json.dumps(settings)) for layer, settings in formats.items()}
        return tensors | {key: value for key, value in named.items() if key not in tensors}
    marks = [key for key in tensors if key.rpartition(".")[2] == _OLD_MARK]
    if not marks:
        return tensors
    result = {}
    for key, value in tensors.items():
        layer, _, name = key.rpartition(".")
        if name == _OLD_MARK:
            continue
        result[f"{layer}.{_OLD_NAMES[name]}" if name in _OLD_NAMES else key] = value
        if name == "scale_weight":
            mark = next((mark for mark in marks if key.startswith(mark.removesuffix(_OLD_MARK))), marks[0])
            # Two numbers in it ask for inputs that are not rounded.
            settings = {"format": FP8} | ({FULL_PRECISION: True} if tensors[mark].numel() == 2 else {})
            result[f"{layer}.{FORMAT_KEY}"] = as_tensor(json.dumps(settings))
    return result


def scales_of(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Scale]]:
    """The tensors without scales and formats, and the `Scale` of each weight that has one, by its key.

    Raises CheckpointError for a format that is not read here, and for scales that are missing or none.
    """
    layers = [key.removesuffix("." + FORMAT_KEY) for key in tensors if key.endswith("." + FORMAT_KEY)]
    scales = {f"{layer}.weight": _scale(layer, tensors) for layer in layers}
    beside = {f"{layer}.{name}" for layer in layers for name in (FORMAT_KEY, SCALE_KEY, INPUT_SCALE_KEY)}
    return {key: value for key, value in tensors.items() if key not in beside}, scales


def dequantised(weight: Tensor, scale: Scale | None) -> Tensor:
    """The weight in float32; as it is where it has no scale."""
    if scale is None:
        return weight
    return weight.float() * scale.values.view(-1, *[1] * (weight.ndim - 1))


def largest_values(weight: Tensor, scale: Scale) -> Tensor:
    """The largest number of the weight, and minus it, as ``[2]``: NaN where it has one."""
    largest = largest_magnitude(weight) * scale.values.amax()
    return torch.stack([largest, -largest])


def largest_magnitude(tensor: Tensor) -> Tensor:
    """Of numbers of eight bits, in float32. NaN and infinity are the largest of all."""
    if not tensor.is_floating_point():
        return tensor.float().abs().amax()
    # Without the sign, floats are in the order of their bits.
    return (tensor.contiguous().view(torch.uint8) & 0x7F).amax().view(1).view(tensor.dtype).float()[0]


def plain_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with every scale multiplied in. Raises CheckpointError as `scales_of`."""
    rest, scales = scales_of(tensors)
    return {key: dequantised(value, scales.get(key)) for key, value in rest.items()}


def _formats_of_metadata(text: str) -> dict[str, Mapping[str, Any]]:
    said = _json(text)
    layers = said.get("layers") if isinstance(said, dict) else None
    if not isinstance(layers, dict) or not all(isinstance(settings, dict) for settings in layers.values()):
        raise CheckpointError(f"{_METADATA_KEY} names no formats of layers: the file is damaged, {_FETCH}")
    return layers


def _settings(key: str, value: Tensor) -> dict[str, Any]:
    text = value.dtype == torch.uint8 and value.ndim == 1 and value.numel() <= _LONGEST_FORMAT
    settings = _json(bytes(value.tolist())) if text else None
    if not isinstance(settings, dict):
        raise CheckpointError(f"{key} names no format: the file is damaged, {_FETCH}")
    return settings


def _json(text: str | bytes) -> Any:
    """None for what is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _scale(layer: str, tensors: Mapping[str, Tensor]) -> Scale:
    key, scale_key, input_key, format_key = (
        f"{layer}.{name}" for name in ("weight", SCALE_KEY, INPUT_SCALE_KEY, FORMAT_KEY)
    )
    settings = _settings(format_key, tensors[format_key])
    kind, parameters = settings.get("format"), settings.get("params")
    rotated = settings.get("convrot") or (isinstance(parameters, dict) and parameters.get("convrot"))
    if not isinstance(kind, str) or kind not in STORED or rotated:
        words = f"{str(kind)[:40]}{' (rotated)' if rotated else ''}"
        raise CheckpointError(f"{key} is stored as {words}, which is not read here. {_OTHERS}")
    weight = tensors.get(key)
    if weight is None:
        raise CheckpointError(f"{key} is missing, its format is there: the file is incomplete, {_FETCH}")
    if weight.dtype != STORED[kind] or weight.ndim not in (2, 4):
        raise CheckpointError(
            f"{key} is said to be {kind} and is {str(weight.dtype).removeprefix('torch.')}, "
            f"{list(weight.shape)}: the file is damaged, {_FETCH}"
        )
    values, inputs = tensors.get(scale_key), tensors.get(input_key)
    rows = {1, len(weight)} if kind == INT8 else {1}
    values = torch.ones(1) if values is None and kind != INT8 else values
    if values is None or values.numel() not in rows or not _usable(values):
        raise CheckpointError(
            f"{scale_key} must be {' or '.join(map(str, sorted(rows)))} positive numbers: the file is damaged, {_FETCH}"
        )
    if inputs is not None and not (inputs.numel() == 1 and _usable(inputs)):
        raise CheckpointError(f"{input_key} must be one positive number: the file is damaged, {_FETCH}")
    values = values.float().reshape(-1)
    if kind == INT8:
        values = values.expand(len(weight)).clone()
    kept = {name: True for name in (FULL_PRECISION,) if settings.get(name)}
    return Scale(kind, values, kept, None if inputs is None else inputs.float().reshape(()))


def _usable(values: Tensor) -> bool:
    return values.is_floating_point() and bool((values.float().isfinite() & (values.float() > 0)).all())
