"""What a card does in one pass over a map by kernels of our own, as operators that PyTorch can trace and count.

They are used on NVIDIA's cards once `prepare` has seen them work there; Triton, which compiles them, comes with PyTorch
on Linux and wants a C compiler. Everywhere else PyTorch's operators do the same one by one.
"""

from __future__ import annotations

import logging
import zlib

import torch
from torch import Tensor

from . import device_choices

NAMESPACE = f"seine_{zlib.crc32(__name__.encode()):x}"
"""Of the operators: the package may be there more than once, and a host's name of it is a path."""
TOLERANCE = 2e-2
DIMENSION, FRAMES = 40, 16
"""Of the trial: what SEINE has."""

_working: dict[tuple[str, int | None, torch.dtype], bool] = {}


def are_ready(x: Tensor) -> bool:
    """Whether the operators below may be used on such a tensor. They have no gradient."""
    return is_working(x.device, x.dtype) and not torch.is_grad_enabled()


def is_working(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether `prepare` has found so."""
    return _working.get((device.type, device.index, dtype), False)


def prepare(device: torch.device, dtype: torch.dtype) -> None:
    """Find out, once, whether the kernels can be compiled for this device and are right there."""
    key = (device.type, device.index, dtype)
    if key not in _working:
        _working[key] = False
        if device_choices.has_kernels(device):
            try:
                _working[key] = _are_right(device, dtype)
            except Exception as problem:  # whatever a compiler, its driver or the card may say
                logging.warning(
                    "SEINE: no kernels of its own on %s in %s, PyTorch's are used: %s", device, dtype, problem
                )


@torch.no_grad()
def _are_right(device: torch.device, dtype: torch.dtype) -> bool:
    """Attend where all is the same: the result is the value itself."""
    q, v = torch.randn(2, 1, FRAMES, 1, 1, DIMENSION, dtype=dtype, device=device)
    flat = torch.zeros(FRAMES, FRAMES, dtype=dtype, device=device)
    out = attend_over_frames(q * 0, q, v, flat[None], flat + 1, flat)
    right = bool((out - v.mean(1, keepdim=True)).abs().max() < TOLERANCE)
    if not right:
        logging.warning("SEINE: its own kernels compute wrongly on %s in %s, PyTorch's are used", device, dtype)
    return right


@torch.library.custom_op(
    f"{NAMESPACE}::attend_over_frames",
    mutates_args=(),
    schema="(Tensor q, Tensor k, Tensor v, Tensor bias, Tensor cos, Tensor sin) -> Tensor",
)
def attend_over_frames(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates q and k and attends with a bias: ``[videos, frames, pixels, heads, dim]`` each, dense; the same shape.

    bias ``[heads, frames, frames]``; cos and sin ``[frames, 16]``.
    """
    from . import triton_kernels

    return triton_kernels.attend_over_frames(q, k, v, bias, cos, sin)


@attend_over_frames.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return torch.empty_like(q)


@torch.library.custom_op(
    f"{NAMESPACE}::normalise",
    mutates_args=(),
    schema="(Tensor x, int groups, Tensor weight, Tensor bias, float eps, bool activate, Tensor? added) -> Tensor",
)
def normalise(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, activate: bool, added: Tensor | None
) -> Tensor:
    """GroupNorm of ``[videos, pixels, channels]``, dense, each video by itself; with SiLU where `activate`.

    added: ``[rows, channels]`` to be added first, each row to as many of all pixels, one after the other.
    """
    from . import triton_kernels

    return triton_kernels.normalise(x, groups, weight, bias, eps, activate, added)


@normalise.register_fake
def _(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, activate: bool, added: Tensor | None) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op(f"{NAMESPACE}::gate", mutates_args=(), schema="(Tensor x) -> Tensor")
def gate(x: Tensor) -> Tensor:
    """Half of the last dimension times the GELU of the other: dense ``[..., 2*inner]`` to ``[..., inner]``."""
    from . import triton_kernels

    return triton_kernels.gate(x)


@gate.register_fake
def _(x: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], x.shape[-1] // 2)


@torch.library.custom_op(
    f"{NAMESPACE}::layer_norm", mutates_args=(), schema="(Tensor x, Tensor weight, Tensor bias, float eps) -> Tensor"
)
def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """LayerNorm of dense rows ``[..., channels]``."""
    from . import triton_kernels

    return triton_kernels.normalise_rows(x, None, weight, bias, eps)[1]


@layer_norm.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op(
    f"{NAMESPACE}::add_and_layer_norm",
    mutates_args=(),
    schema="(Tensor x, Tensor added, Tensor weight, Tensor bias, float eps) -> (Tensor, Tensor)",
)
def add_and_layer_norm(x: Tensor, added: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The sum of dense rows ``[..., channels]``, and its LayerNorm."""
    from . import triton_kernels

    return triton_kernels.normalise_rows(x, added, weight, bias, eps)


@add_and_layer_norm.register_fake
def _(x: Tensor, added: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(x)


@torch.library.custom_op(
    f"{NAMESPACE}::add_up_", mutates_args=("x",), schema="(Tensor(a!) x, Tensor residual, Tensor bias) -> ()"
)
def add_up_(x: Tensor, residual: Tensor, bias: Tensor) -> None:
    """Adds a tensor and a bias ``[channels]`` to x ``[..., channels]``, all dense."""
    from . import triton_kernels

    triton_kernels.add_up(x, residual, bias)


@add_up_.register_fake
def _(x: Tensor, residual: Tensor, bias: Tensor) -> None:
    return None
