"""The host's layers, whose weights can be had where the network computes with them by itself.

Where the host pages weights in (dynamic VRAM), its casting works out anew for every layer of every step what to do, and
the card waits for it. A weight that is there as it is needed has but to be asked for, which holds it, and given back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import comfy.ops
import torch
import torch.nn.functional as F
from torch import Tensor

from ..seine_model.fused import PLAIN
from ..seine_model.lending import Lent

try:
    from comfy_aimdo import model_vbar
except ImportError:  # a host from before dynamic VRAM: its layers have no pages
    model_vbar = None

_SEEN = "_seine_seen"
"""Of a layer: the signature of its pages with which the host's casting gave what lies in them, as it lies there."""


class _Staying(tuple):
    """What the host wants back of a weight that no other one is brought to the place of."""

    stays = True


_PAGES = _Staying()
"""The same of one in the card's pages, which the host was not asked for."""
_CASTING = "forward_comfy_cast_weights"


@lru_cache(maxsize=8)
def lending(operations: type) -> type:
    """The same operations with `lend` and `give_back`, see `seine_model.lending`, for their own weights."""
    functions = {"lend": staticmethod(_lend), "give_back": staticmethod(_give_back)}
    layers = {}
    for name, compute in _COMPUTING.items():
        layer, plain = getattr(operations, name), getattr(comfy.ops.disable_weight_init, name)
        if getattr(layer, _CASTING) is getattr(plain, _CASTING):  # those in fewer bits may multiply in them
            layers[name] = type(name, (layer,), {_CASTING: _with_weights(compute), "only_casts": True})
    return type(operations.__name__, (operations,), functions | layers)


def _with_weights(compute: Callable) -> Callable:
    def forward(self: Any, input: Tensor) -> Tensor:  # as the host's is called
        with Lent(_lend, _give_back, self, input) as (weight, bias):
            return compute(self, input, weight, bias)

    return forward


_COMPUTING: dict[str, Callable] = {
    "Linear": lambda layer, x, weight, bias: F.linear(x, weight, bias),
    "Conv2d": lambda layer, x, weight, bias: layer._conv_forward(x, weight, bias),
    "GroupNorm": lambda layer, x, weight, bias: F.group_norm(x, layer.num_groups, weight, bias, layer.eps),
    "LayerNorm": lambda layer, x, weight, bias: F.layer_norm(x, layer.normalized_shape, weight, bias, layer.eps),
}


def _lend(layer: Any, x: Tensor) -> tuple[Tensor, Tensor | None, Any]:
    """Weight and bias as x needs them: cast, patched, and brought to its device."""
    changed = layer.weight_function or layer.bias_function
    if not (layer.comfy_cast_weights or changed):
        return layer.weight, layer.bias, None
    if changed or torch.compiler.is_compiling():
        return comfy.ops.cast_bias_weight(layer, x, offloadable=True)
    return _as_it_lies(layer, x) or _cast(layer, x)


def _as_it_lies(layer: Any, x: Tensor) -> tuple[Tensor, Tensor | None, Any] | None:
    """Where the host would give what is on the card, and only find out anew that it would."""
    held = layer.__dict__
    pages, signature = held.get("_v"), held.get("_v_signature")
    if pages is None:
        weight, bias = layer.weight, layer.bias
    elif signature is None or held.get(_SEEN) is not signature or "_prefetch" in held:
        return None
    elif layer.weight.device == x.device:  # something has put another one there
        return None
    else:
        weight, bias = held["_v_weight"], held["_v_bias"]
    if not (_is_as_needed(weight, x) and (bias is None or _is_as_needed(bias, x))):
        return None
    if pages is None:
        return weight, bias, None
    asked = model_vbar.vbar_fault(pages)
    if model_vbar.vbar_signature_compare(asked, signature):
        return weight, bias, _PAGES
    if asked is not None:
        model_vbar.vbar_unpin(pages)
    return None


def _cast(layer: Any, x: Tensor) -> tuple[Tensor, Tensor | None, Any]:
    """By the host; what it gave of a layer with pages is remembered."""
    held = layer.__dict__
    begun = "_prefetch" in held
    try:
        weight, bias, lent = comfy.ops.cast_bias_weight(layer, x, offloadable=True)
    except Exception:
        if "_prefetch" in held and not begun:
            _forget(layer)
        raise
    if "_v" in held:
        as_it_lies = weight is held.get("_v_weight") and bias is held.get("_v_bias")
        held[_SEEN] = held.get("_v_signature") if as_it_lies else None
    if isinstance(lent, tuple) and lent[0] is None:  # no stream on which it came, and whose buffer it would share
        lent = _Staying(lent)
    return weight, bias, lent


def _forget(layer: Any) -> None:
    """What the host had begun and left where memory ran out: another try would take what lies there for this weight."""
    for name in ("weight", "bias"):
        patch = getattr(layer, f"{name}_lowvram_function", None)
        if patch is not None:
            patch.clear_prepared()
    if layer.__dict__.pop("_prefetch")["signature"] is not None:
        model_vbar.vbar_unpin(layer._v)


def _is_as_needed(weight: Tensor, x: Tensor) -> bool:
    return type(weight) in PLAIN and weight.dtype == x.dtype and weight.device == x.device


def _give_back(layer: Any, weight: Tensor, bias: Tensor | None, lent: Any) -> None:
    if lent is _PAGES:
        model_vbar.vbar_unpin(layer._v)
    else:
        comfy.ops.uncast_bias_weight(layer, weight, bias, lent)
