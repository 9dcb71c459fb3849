"""The host's layers, whose weights can be had where the network computes with them by itself."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import comfy.ops
from torch import Tensor


@lru_cache(maxsize=8)
def lending(operations: type) -> type:
    """The same operations with `lend` and `give_back`, see `seine_model.normalisation.group_norm`."""
    functions = {"lend": staticmethod(_lend), "give_back": staticmethod(_give_back)}
    return type(operations.__name__, (operations,), functions)


def _lend(layer: Any, x: Tensor) -> tuple[Tensor, Tensor, Any]:
    """Weight and bias as x needs them: cast, patched, and brought to its device."""
    if layer.comfy_cast_weights or layer.weight_function or layer.bias_function:
        return comfy.ops.cast_bias_weight(layer, x, offloadable=True)
    return layer.weight, layer.bias, None


def _give_back(layer: Any, weight: Tensor, bias: Tensor, lent: Any) -> None:
    comfy.ops.uncast_bias_weight(layer, weight, bias, lent)
