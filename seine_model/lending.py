"""How the network gets a layer's weights where it computes with them by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


def lender(operations: Any) -> tuple[Callable, Callable]:
    """`lend(layer, x)` gives weight, bias and what `give_back(layer, weight, bias, lent)` wants when they were used.

    They are those of `operations`, since casting, patching and offloading are a host's matter. Without them, as with
    torch.nn, the weights are the layer's own.
    """
    return getattr(operations, "lend", _own), getattr(operations, "give_back", _kept)


def _own(layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, None]:
    return layer.weight, layer.bias, None


def _kept(layer: nn.Module, weight: Tensor, bias: Tensor, lent: None) -> None:
    """They were the layer's own."""
