"""How the network gets a layer's weights where it computes with them by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn


class Lent:
    """A layer's weight and bias as an input needs them, ``with … as (weight, bias)``; given back whatever happens."""

    __slots__ = ("bias", "give_back", "layer", "lent", "weight")

    def __init__(self, lend: Callable, give_back: Callable, layer: nn.Module, x: Tensor) -> None:
        self.layer, self.give_back = layer, give_back
        self.weight, self.bias, self.lent = lend(layer, x)

    @property
    def stays(self) -> bool:
        """Whether they are left as they are until they are given back, and not only until another layer's are lent."""
        return self.lent is None or getattr(self.lent, "stays", False)

    def __enter__(self) -> tuple[Tensor, Tensor | None]:
        return self.weight, self.bias

    def __exit__(self, *error: Any) -> None:
        self.give_back(self.layer, self.weight, self.bias, self.lent)


Lender = Callable[[nn.Module, Tensor], Lent]
"""Lends the weights of a layer to be used with an input."""


def lender(operations: Any) -> Lender:
    """By `operations`, since casting, patching and offloading are a host's matter.

    Its `lend(layer, x)` gives weight, bias and what its `give_back(layer, weight, bias, lent)` wants: None where they
    are the layer's own, or something that may say that they stay. Without them, as with torch.nn, they are its own.
    """
    return partial(Lent, getattr(operations, "lend", _own), getattr(operations, "give_back", _kept))


def _own(layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, None]:
    return layer.weight, layer.bias, None


def _kept(layer: nn.Module, weight: Tensor, bias: Tensor, lent: None) -> None:
    """They were the layer's own."""


def is_replaced(layer: nn.Module) -> bool:
    """Whether something else stands in for a layer, or is called with it: it has to be asked itself."""
    return bool("forward" in vars(layer) or layer._forward_hooks or layer._forward_pre_hooks)
