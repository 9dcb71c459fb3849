"""The host's layers for weights of eight bits, and what it lacks of them: convolutions, half of SEINE's weights."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace
from typing import Any

import comfy.ops
import torch
from torch import Tensor, nn

from ..seine_model.quantised import FORMAT_KEY, INPUT_SCALE_KEY, SCALE_KEY, STORED, Scale

try:
    from comfy.quant_ops import QUANT_ALGOS, QuantizedTensor, get_layout_class, register_layout_class
except ImportError:  # a host from before such layers
    QUANT_ALGOS = {}

_CONVOLUTION = "SeineConvolutionINT8Layout"
SUFFIXES = tuple(f".{name}" for name in (FORMAT_KEY, SCALE_KEY, INPUT_SCALE_KEY))
"""How the keys of what such a layer holds beside its weight end."""


def operations_for(scales: dict[str, Scale], compute_dtype: torch.dtype, device: torch.device) -> Any:
    """Layers that hold weights of these scales as they are stored; None where the host has none for one of them."""
    if not scales or any(scale.format not in QUANT_ALGOS for scale in scales.values()):
        return None
    quantised = SimpleNamespace(quant_config={"mixed_ops": True})
    host = comfy.ops.pick_operations(None, compute_dtype, load_device=device, model_config=quantised)

    class Operations(host):
        class Conv2d(_Quantised, host.Conv2d):
            compute_dtype_of_scaled = compute_dtype

    return Operations


class _Quantised:
    """Before a Conv2d of the host's in the order of inheritance: its weight may be of eight bits, as the host's Linear.

    What the host asks of such a layer: to load, to save, to move, and to be patched.
    """

    compute_dtype_of_scaled: torch.dtype
    _settings: str = ""

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        settings = state_dict.pop(f"{prefix}{FORMAT_KEY}", None)
        if settings is None:
            super()._load_from_state_dict(state_dict, prefix, *args)
            return
        self._settings = bytes(settings.tolist()).decode()
        kind = json.loads(self._settings)["format"]
        layout = _layout(kind)
        weight, scale = state_dict.pop(f"{prefix}weight"), state_dict.pop(f"{prefix}{SCALE_KEY}")
        state_dict.pop(f"{prefix}{INPUT_SCALE_KEY}", None)  # inputs of convolutions are not rounded
        parameters = get_layout_class(layout).Params(
            scale=scale.float(), orig_dtype=self.compute_dtype_of_scaled, orig_shape=tuple(weight.shape)
        )
        quantised = QuantizedTensor(weight.to(STORED[kind]), layout, parameters)
        self.weight = nn.Parameter(quantised, requires_grad=False)
        if f"{prefix}bias" in state_dict:
            bias = state_dict.pop(f"{prefix}bias")
            self.bias = nn.Parameter(bias.to(self.compute_dtype_of_scaled), requires_grad=False)

    def _save_to_state_dict(self, destination: dict[str, Tensor], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if isinstance(self.weight, QuantizedTensor):
            destination.update(self.weight.state_dict(f"{prefix}weight"))
            destination[f"{prefix}{FORMAT_KEY}"] = torch.tensor(list(self._settings.encode()), dtype=torch.uint8)

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(x, _plain(weight), bias)

    def convert_weight(self, weight: Tensor, inplace: bool = False, **_: Any) -> Tensor:
        """The weight as plain numbers, for patches to be added."""
        return _plain(weight)

    def set_weight(
        self,
        weight: Tensor,
        inplace_update: bool = False,
        seed: int | None = None,
        return_weight: bool = False,
        **_: Any,
    ) -> Tensor | None:
        """Take a patched weight, rounded as the one before."""
        if isinstance(self.weight, QuantizedTensor):
            weight = self.weight.requantize_from_float(weight, scale="recalculate", stochastic_rounding=seed or 0)
        weight = weight.to(self.weight.dtype)
        if return_weight:
            return weight
        self.weight = nn.Parameter(weight, requires_grad=False)
        return None

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        weight = self._parameters.get("weight")
        if not isinstance(weight, QuantizedTensor):
            return super()._apply(fn, recurse)
        # PyTorch would put what comes of it into the old one, where a tensor with parts of its own does not change.
        self._parameters["weight"] = None
        super()._apply(fn, recurse)
        self.weight = nn.Parameter(fn(weight), requires_grad=False)
        return self


def _plain(weight: Tensor) -> Tensor:
    return weight.dequantize() if isinstance(weight, QuantizedTensor) else weight


def _layout(kind: str) -> str:
    layout = QUANT_ALGOS[kind]["comfy_tensor_layout"]
    if STORED[kind] != torch.int8:
        return layout
    _register(get_layout_class(layout))
    return _CONVOLUTION


def _register(rows: Any) -> None:
    class ConvolutionINT8(rows):
        """The host's of matrices, with all that makes one output channel as a row."""

        @classmethod
        def quantize(cls, tensor: Tensor, **settings: Any) -> tuple[Tensor, Any]:
            data, parameters = super().quantize(tensor.flatten(1), **settings)
            return data.view(tensor.shape), dataclasses.replace(parameters, orig_shape=tuple(tensor.shape))

        @classmethod
        def dequantize(cls, qdata: Tensor, params: Any) -> Tensor:
            return super().dequantize(qdata.flatten(1), params).view(qdata.shape)

    register_layout_class(_CONVOLUTION, ConvolutionINT8)
