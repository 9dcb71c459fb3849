"""Linear layers computed together, or with what follows them, where their weights can be had.

On a card a product of so few columns takes as long as its maps take to be read and written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import device_choices, fused
from .fused import PLAIN
from .lending import Lender, is_replaced


def together(layers: Sequence[nn.Module], x: Tensor, lender: Lender) -> tuple[Tensor, ...]:
    """Each layer's product, without bias, of ``[..., width]``: dense, or parts of one if they are computed as one."""
    if not (fused.are_ready(x) and device_choices.multiplies_at_once(x) and all(is_plain(to, x) for to in layers)):
        return tuple(to(x).contiguous() for to in layers)
    with ExitStack() as stack:
        weights = []
        for layer in layers:
            lent = lender(layer, x)
            weight, _ = stack.enter_context(lent)
            # A host may bring the next one to the same place.
            weights.append(weight if lent.stays else weight.clone())
        return F.linear(x, torch.cat(weights)).chunk(len(layers), -1)


def gated(layer: nn.Module, x: Tensor, lender: Lender) -> Tensor:
    """Half of the layer's columns times the GELU of the other, by our own kernels: ``[..., width]``."""
    if not (fused.multiplies_with_gates(x) and is_plain(layer, x)):
        return fused.gate(layer(x).contiguous())
    with lender(layer, x) as (weight, bias):
        return fused.gated_product(x.contiguous(), weight.contiguous(), bias.contiguous())


def is_plain(layer: nn.Module, x: Tensor) -> bool:
    """Whether a layer is the product with the weight it lends and no more: not in fewer bits, nothing put in its place.

    A weight of another dtype than the input's is so where the layer, by its `only_casts`, makes it the input's.
    """
    weight = layer.weight
    same = weight.dtype == x.dtype or getattr(layer, "only_casts", False)
    return same and type(weight) in PLAIN and not is_replaced(layer)
