"""What a card does in one pass over a map by kernels of our own, as operators that PyTorch can trace and count.

They are used on NVIDIA's cards once `prepare` has seen them work there; Triton, which compiles them, comes with PyTorch
on Linux and wants a C compiler. Everywhere else PyTorch's operators do the same one by one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

from . import device_choices
from .memory import ran_out
from .trials import Key, give_up, key_of, try_once

NAMESPACE = f"seine_{zlib.crc32(__name__.encode()):x}"
"""Of the operators: the package may be there more than once, and a host's name of it is a path."""

PLAIN = (Tensor, nn.Parameter)
"""Types of tensors that are their numbers: a host's own types have others, which stand for them."""

_working: dict[Key, bool] = {}
_multiplying: dict[Key, bool] = {}
_attending: dict[Key, int] = {}
_failed: set[Key] = set()
"""Where a launch failed after the trial: of what is still to come of that forward, and of its graph if it has one."""
_NAME = "kernels of its own"


def are_ready(x: Tensor) -> bool:
    """Whether the operators below may be used on such a tensor. They have no gradient."""
    return is_working(x.device, x.dtype) and not torch.is_grad_enabled()


def is_working(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether `prepare` has found so."""
    return _working.get(key_of(device, dtype), False)


def multiplies_with_gates(x: Tensor) -> bool:
    """Whether `gated_product` is there for this input, and pays."""
    there = _multiplying.get(key_of(x.device, x.dtype), False)
    return there and x.shape[-1] <= device_choices.MOST_COLUMNS


def most_frames(device: torch.device, dtype: torch.dtype) -> int:
    """That `attend_over_frames` takes at once there."""
    return _attending.get(key_of(device, dtype)) or device_choices.most_frames(dtype)


def prepare(device: torch.device, dtype: torch.dtype) -> None:
    """Find out, once, whether the kernels can be compiled for this device and are right there."""
    try_once(_NAME, _working, device, dtype, lambda: _are_right(device, dtype))


def _are_right(device: torch.device, dtype: torch.dtype) -> bool:
    if not device_choices.has_kernels(device):
        return False
    from .kernel_trials import are_right, frames_attended  # which imports this module

    if not are_right(device, dtype):
        return False
    key, most = key_of(device, dtype), device_choices.most_frames(dtype, torch.cuda.get_device_capability(device))
    _attending[key] = frames_attended(device, dtype, most)
    _multiplying[key] = device_choices.multiplies_with_gates(device, dtype)
    return True


@lru_cache(maxsize=1)
def _functions() -> dict[str, Callable]:
    """Those of the kernels' modules, which want Triton."""
    from . import triton_convolutions, triton_kernels, triton_norms, triton_products

    modules = triton_convolutions, triton_kernels, triton_norms, triton_products
    return {name: function for module in modules for name, function in vars(module).items()}


def _launch(kernel: str, x: Tensor, *others: Any) -> Any:
    """A function of the kernels' modules. Where it fails, which a trial cannot rule out for all sizes, its stand-in.

    Kernels are then off for this kind of tensor. Another try of the forward would not do: patches and hooks of a host
    may have changed what it was given.
    """
    key = key_of(x.device, x.dtype) if _failed else None
    if key not in _failed:
        try:
            return _on_its_card(kernel, x, *others)
        except Exception as problem:  # of compiling, of the folder that Triton writes to, or of the card
            key = key_of(x.device, x.dtype)
            if ran_out(problem) or key not in _working:  # the trial itself
                raise
            give_up(_NAME, _working, x.device, x.dtype, problem)
            _failed.add(key)
    from . import stand_ins  # which imports this module

    return getattr(stand_ins, kernel)(x, *others)


def _on_its_card(kernel: str, x: Tensor, *others: Any) -> Any:
    """On the card that x is on: Triton takes the current one."""
    function = _functions()[kernel]
    if x.is_cuda and x.device.index != torch.cuda.current_device():
        with torch.cuda.device_of(x):
            return function(x, *others)
    return function(x, *others)


def _is_watched(x: Tensor) -> bool:
    """Whether an operator is to be seen, and not what its function does: by a compiler, a counter, a tracer."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return True
    return type(x) not in PLAIN or _get_current_dispatch_mode() is not None


def _operator(schema: str, mutates: tuple[str, ...] = ()) -> Callable[[Callable], Callable]:
    """An operator for whatever looks on; else the function itself, since PyTorch's way to it takes longer than it does.

    schema: without the name, which is the function's.
    """

    def made(function: Callable) -> Callable:
        name = f"{NAMESPACE}::{function.__name__}"
        operator = torch.library.custom_op(name, mutates_args=mutates, schema=schema)(function)

        @wraps(function)
        def call(x: Tensor, *others: Any) -> Any:
            return operator(x, *others) if _is_watched(x) else function(x, *others)

        call.register_fake = operator.register_fake
        return call

    return made


@_operator("(Tensor q, Tensor k, Tensor v, Tensor bias, Tensor cos, Tensor sin) -> Tensor")
def attend_over_frames(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates q and k and attends with a bias: ``[videos, frames, pixels, heads, dim]`` each; the same shape, dense.

    Pixels of q, k and v may lie apart, as in parts of one product; bias ``[heads, frames, frames]``; cos and sin
    ``[frames, 16]``.
    """
    return _launch("attend_over_frames", q, k, v, bias, cos, sin)


@attend_over_frames.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return q.new_empty(q.shape)


@_operator("(Tensor x, int groups, Tensor weight, Tensor bias, float eps, bool activate, Tensor? added) -> Tensor")
def normalise(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, activate: bool, added: Tensor | None
) -> Tensor:
    """GroupNorm of ``[videos, pixels, channels]``, dense, each video by itself; with SiLU where `activate`.

    added: ``[rows, channels]`` to be added first, each row to as many of all pixels, one after the other.
    """
    return _launch("normalise", x, groups, weight, bias, eps, activate, added)


@normalise.register_fake
def _(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, activate: bool, added: Tensor | None) -> Tensor:
    return torch.empty_like(x)


@_operator("(Tensor x) -> Tensor")
def gate(x: Tensor) -> Tensor:
    """Half of the last dimension times the GELU of the other: dense ``[..., 2*inner]`` to ``[..., inner]``."""
    return _launch("gate", x)


@gate.register_fake
def _(x: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], x.shape[-1] // 2)


@_operator("(Tensor x, Tensor weight, Tensor bias) -> Tensor")
def gated_product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`gate` of ``x @ weight.T + bias``, dense: ``[..., width]`` to ``[..., inner]``; weight ``[2*inner, width]``."""
    return _launch("gated_product", x, weight, bias)


@gated_product.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], len(weight) // 2)


@_operator("(Tensor x, Tensor weight, Tensor bias, float eps) -> Tensor")
def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """LayerNorm of dense rows ``[..., channels]``."""
    return _launch("normalise_rows", x, None, weight, bias, eps)[1]


@layer_norm.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return torch.empty_like(x)


@_operator("(Tensor x, Tensor added, Tensor weight, Tensor bias, float eps) -> (Tensor, Tensor)")
def add_and_layer_norm(x: Tensor, added: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The sum of dense rows ``[..., channels]``, and its LayerNorm."""
    return _launch("normalise_rows", x, added, weight, bias, eps)


@add_and_layer_norm.register_fake
def _(x: Tensor, added: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(x)


@_operator("(Tensor weight) -> Tensor")
def channels_last(weight: Tensor) -> Tensor:
    """A dense kernel of convolutions ``[out, in, height, width]`` in the order in which they read it."""
    return _launch("reorder", weight)


@channels_last.register_fake
def _(weight: Tensor) -> Tensor:
    return torch.empty_like(weight, memory_format=torch.channels_last)


@_operator("(Tensor weight) -> Tensor")
def quarters(weight: Tensor) -> Tensor:
    """What a 3x3 convolution of a doubled map is of the map itself: four 2x2 ones, one after the other.

    For the pixels of even line and column, of even line and odd column, of odd and even, of odd and odd. From
    ``[out, in, 3, 3]``, however it lies, to ``[4*out, in, 2, 2]``, channels-last.
    """
    return _launch("quarters", weight)


@quarters.register_fake
def _(weight: Tensor) -> Tensor:
    quarter = weight[:, :, :2, :2]
    return torch.cat([quarter] * 4).contiguous(memory_format=torch.channels_last)


@_operator("(Tensor quarters, Tensor bias) -> Tensor")
def interleave(quarters: Tensor, bias: Tensor) -> Tensor:
    """Dense ``[rows, h + 1, w + 1, 4*channels]``, convolved with `quarters` and one pixel of padding, and a bias.

    To ``[rows, 2*h, 2*w, channels]``.
    """
    return _launch("interleave", quarters, bias)


@interleave.register_fake
def _(quarters: Tensor, bias: Tensor) -> Tensor:
    rows, height, width, channels = quarters.shape
    return quarters.new_empty(rows, 2 * height - 2, 2 * width - 2, channels // 4)


@_operator("(Tensor(a!) x, Tensor residual, Tensor bias) -> ()", mutates=("x",))
def add_up_(x: Tensor, residual: Tensor, bias: Tensor) -> None:
    """Adds a tensor and a bias ``[channels]`` to x ``[..., channels]``, all dense."""
    _launch("add_up", x, residual, bias)


@add_up_.register_fake
def _(x: Tensor, residual: Tensor, bias: Tensor) -> None:
    return None
