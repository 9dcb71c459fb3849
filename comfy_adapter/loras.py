"""LoRAs that have nothing for SEINE are refused; the host says so in its log alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from comfy.patcher_extension import CallbacksMP
from torch import nn

from .quantised import SUFFIXES

_KEY = "seine_loras"
_REMEDY = (
    "SEINE takes LoRAs for Stable Diffusion 1.5 in every naming that ComfyUI knows for it. Not those for SDXL, SD 2 or "
    "Flux, no motion LoRAs of AnimateDiff, no names that begin with base_model: choose another file, or bypass the node"
)
_OF_TEXT_ENCODER = re.compile("lora_te|text_model|text_encoder")
"""In every name that the host knows for a weight of a text encoder."""


def prepare_loras(patcher: Any) -> None:
    """Have a SEINE MODEL, and every copy of it, look at the LoRAs that are put on it."""
    patcher.__class__ = _looking(type(patcher))
    # A copy is of another class where the host no longer pages weights in.
    patcher.add_callback_with_key(CallbacksMP.ON_CLONE, _KEY, _prepare_copy)


def check_lora(patches: Mapping[Any, Any], model: nn.Module) -> None:
    """Raises ValueError for patches of which there are none, or of which most fit none of the model's weights."""
    if not patches:
        raise ValueError(f"lora_name: nothing in this file is for SEINE's network. {_REMEDY}")
    _check_sizes(patches, model, "lora_name")


def check_hook(hook: Any, patches: Mapping[Any, Any], strength: float, model: nn.Module) -> None:
    """`check_lora` of a hook LoRA, which the host loads only when it samples; it may be for the text encoder alone."""
    if patches:
        _check_sizes(patches, model, "hook LoRA")
    elif strength and not _acts_on_text(hook):
        raise ValueError(f"hook LoRA: nothing in its file is for SEINE's network. {_REMEDY}")


def _check_sizes(patches: Mapping[Any, Any], model: nn.Module, name: str) -> None:
    """Raises ValueError for patches (input `name`) of which most fit none of the model's weights."""
    sizes = {key: size for key, patch in patches.items() if isinstance(key, str) and (size := _size_of(patch))}
    if not sizes:
        return  # nodes that merge models patch every weight by itself, and naming all weights takes time
    weights = model.state_dict()
    sizes = {key: size for key, size in sizes.items() if key in weights}
    others = [key for key, size in sizes.items() if size != (len(weights[key]), weights[key].numel())]
    if len(others) > len(sizes) // 2:
        key = others[0]
        rows, numbers = sizes[key]
        raise ValueError(
            f"{name}: {len(others)} of {len(sizes)} weights in this file are for a network of other widths, as "
            f"[{rows}, {numbers // rows}] for {list(weights[key].shape)}, {key}. {_REMEDY}"
        )


def _prepare_copy(patcher: Any, copy: Any) -> None:
    copy.__class__ = _looking(type(copy))


class _Looking:
    """Before a patcher of the host's in the order of inheritance."""

    def add_patches(self, patches: Mapping[Any, Any], *strengths: float, **named: float) -> list:
        check_lora(patches, self.model)
        return super().add_patches(patches, *strengths, **named)

    def model_state_dict(self, filter_prefix: str | None = None) -> dict[str, Any]:
        """Without scales of weights, which are no weights of a layer: the host looks each up as one to be patched."""
        weights = super().model_state_dict(filter_prefix)
        return {key: value for key, value in weights.items() if not key.endswith(SUFFIXES)}

    def add_hook_patches(self, hook: Any, patches: Mapping[Any, Any], *strengths: float, **named: float) -> list:
        strength = strengths[0] if strengths else named.get("strength_patch", 1.0)
        check_hook(hook, patches, strength, self.model)
        return super().add_hook_patches(hook, patches, *strengths, **named)


@cache
def _looking(patcher_class: type) -> type:
    if issubclass(patcher_class, _Looking):
        return patcher_class
    return type(f"Seine{patcher_class.__name__}", (_Looking, patcher_class), {})


def _acts_on_text(hook: Any) -> bool:
    """Whether a hook of the host brings weights of a text encoder, and applies them."""
    weights = getattr(hook, "weights", None) or {}
    return bool(getattr(hook, "strength_clip", 0)) and any(_OF_TEXT_ENCODER.search(str(key)) for key in weights)


def _size_of(patch: Any) -> tuple[int, int] | None:
    """Rows and numbers of the weight that a patch is for; None where its kind does not tell."""
    if isinstance(patch, tuple):
        kind, values = patch if len(patch) == 2 else (None, ())
        return (len(values[0]), values[0].numel()) if kind in ("diff", "set") and values[0].ndim else None
    kind, values = getattr(patch, "name", None), getattr(patch, "weights", ())
    if kind == "lora":
        up, down, _, middle = values[:4]
        kernel = 1 if middle is None else middle[0, 0].numel()
        return len(up), len(up) * (down.numel() // len(down) if middle is None else down.shape[1] * kernel)
    if kind == "loha" and values[5] is None:
        return len(values[0]), len(values[0]) * values[1].shape[1]
    return None
