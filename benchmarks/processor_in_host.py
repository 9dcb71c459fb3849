"""Times the processor's part of a step in a ComfyUI's process, for `processor.py` (see tools/hosting/in_host.py)."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import comfy.model_management
import comfy.ops
import torch
import torch.nn.functional as F
from comfy_aimdo import model_vbar
from comfyui_seine.comfy_adapter import unet
from comfyui_seine.comfy_adapter.weights import SMALLEST_PAGED
from comfyui_seine.seine_model import convolution, device_choices, fused, products
from comfyui_seine.seine_model.config import SeineConfig
from comfyui_seine.seine_model.unet import SeineUNet3D
from torch import Tensor, nn

FRAMES, SIDE, TOKENS = 2, 8, 77
NETWORK, HOST, PAGES, CAST = (
    "the network alone",
    "in ComfyUI, weights on the card",
    "in ComfyUI, weights in pages that are all on the card",
    "the same, each layer cast by ComfyUI",
)
IN_HALVES = 2
"""Bytes of a value on a card. Here it is float32, which takes the processor as long."""


@torch.no_grad()
def main(runs: int) -> dict[str, Any]:
    """ms: name, least and median of each way."""
    torch.set_num_threads(1)
    config = SeineConfig()
    x = torch.zeros(2 * FRAMES, config.in_channels, SIDE, SIDE)
    times, text = torch.ones(2 * FRAMES), torch.zeros(2 * FRAMES, TOKENS, config.cross_attention_dim)
    network = SeineUNet3D(config, dtype=x.dtype, device="meta").requires_grad_(False).to_empty(device="cpu")
    there, paged = (_in_host(config, x.dtype) for _ in range(2))
    with mock.patch.object(unet, "lending", _only_lending):
        cast = _in_host(config, x.dtype)

    def of_host(model: unet.HostUNet) -> Callable[[], Tensor]:
        return lambda: model(x, times, text, num_video_frames=FRAMES)

    ways = {
        NETWORK: lambda: network.forward_frames(x, times[:2], text[:2], FRAMES),
        HOST: of_host(there),
        PAGES: of_host(paged),
        CAST: of_host(cast),
    }
    layers, others = (
        [layer for layer in model.modules() if hasattr(layer, "comfy_cast_weights")] for model in (paged, cast)
    )
    with _nothing_computed(), _card():
        pages = _pages()
        in_pages = sum(_page(layer, pages) for layer in layers)
        for layer in others:
            _page(layer, pages)
        found = _timed(ways, runs)
    return {"layers": len(layers), "paged": in_pages, "ms": found}


def _in_host(config: SeineConfig, dtype: torch.dtype) -> unet.HostUNet:
    given = {"dtype": dtype, "device": "cpu", "operations": comfy.ops.disable_weight_init}
    return unet.HostUNet(config, config.block_out_channels[0], **given).requires_grad_(False).eval()


def _timed(ways: dict[str, Callable[[], Any]], runs: int) -> list[tuple[str, float, float]]:
    took: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(runs + 3):
        for name, call in ways.items():
            began = time.perf_counter()
            call()
            if run >= 3:
                took[name].append(1000 * (time.perf_counter() - began))
    return [(name, min(values), statistics.median(values)) for name, values in took.items()]


def _page(layer: Any, pages: Any) -> bool:
    """Put a layer's weights where dynamic VRAM has them: in pages, or on the card; as the host's patcher does it."""
    layer.comfy_cast_weights, layer.weight_function, layer.bias_function = True, [], []
    size = IN_HALVES * sum(value.numel() for value in layer.parameters(recurse=False))
    if size <= SMALLEST_PAGED:
        return False
    layer.weight_lowvram_function = layer.bias_lowvram_function = None
    layer._v, layer._v_bias = (pages, 0, size), None
    layer._v_signature = model_vbar.vbar_fault(layer._v)
    for name, value in list(layer.named_parameters(recurse=False)):
        setattr(layer, f"_v_{name}", value.data)
        setattr(layer, name, nn.Parameter(value.data.to("meta"), requires_grad=False))  # on another device than x
    return True


def _only_lending(operations: Any) -> Any:
    """The host's layers as they are, whose weights are lent by its own casting."""

    def lend(layer: Any, x: Tensor) -> tuple:
        return comfy.ops.cast_bias_weight(layer, x, offloadable=True)

    functions = {"lend": staticmethod(lend), "give_back": staticmethod(comfy.ops.uncast_bias_weight)}
    return type(operations.__name__, (operations,), functions)


def _pages() -> Any:
    """What the library's Python calls its C for, with functions that do nothing in their place."""
    pages = object.__new__(model_vbar.ModelVBAR)
    pages._devctx = pages._ptr = pages.base_addr = 0
    return pages


def _nothing(arguments: int) -> Any:
    """A function of C that takes so many and gives 0."""
    function = ctypes.CDLL(None)["abs"]
    kinds = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint32)]
    function.argtypes = kinds[:arguments]
    return function


@contextmanager
def _card() -> Iterator[None]:
    """The host takes the CPU for a card with pages on it."""
    with (
        mock.patch.object(comfy.model_management, "is_device_cpu", lambda device: False),
        mock.patch.object(model_vbar, "lib", SimpleNamespace(vbar_fault=_nothing(5), vbar_unpin=_nothing(4))),
    ):
        yield


@contextmanager
def _nothing_computed() -> Iterator[None]:
    """New tensors in place of what is computed, of the same shapes; all is chosen as for maps of 512x512 on Hopper."""
    chosen = {
        (fused, "is_working"): lambda device, dtype: True,
        (fused, "multiplies_with_gates"): lambda x: x.shape[-1] <= device_choices.MOST_COLUMNS,
        (fused, "_launch"): lambda kernel, *given: _LAUNCHED[kernel](*given),
        (device_choices, "multiplies_at_once"): lambda x: x.shape[-1] <= device_choices.MOST_COLUMNS,
        (convolution, "doubles_within"): lambda x: True,
        (convolution, "convolves_as_product"): lambda x, weight: weight.shape[2:] == (1, 1),
        (convolution, "convolves_in_plain_order"): lambda x, channels: False,
        (products, "torch"): mock.Mock(cat=_joined),
        (F, "linear"): _product,
        (F, "conv2d"): _convolution,
        (F, "scaled_dot_product_attention"): _attention,
        (comfy.ops, "scaled_dot_product_attention"): _attention,
        (unet, "optimized_attention"): unet.attention_pytorch,
        (Tensor, "clone"): lambda x: x,
    }
    with ExitStack() as stack:
        for (place, name), value in chosen.items():
            stack.enter_context(mock.patch.object(place, name, value))
        yield


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0].new_empty(sum(map(len, parts)), *parts[0].shape[1:])


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return x.new_empty(*x.shape[:-1], len(weight))


def _convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, *_: Any
) -> Tensor:
    step, edge = (value if isinstance(value, int) else value[0] for value in (stride, padding))
    height, width = ((side + 2 * edge - weight.shape[-1]) // step + 1 for side in x.shape[-2:])
    return torch.empty(len(x), len(weight), height, width, dtype=x.dtype, memory_format=torch.channels_last)


def _attention(q: Tensor, *_: Any, **__: Any) -> Tensor:
    return torch.empty_like(q)


def _quarters(weight: Tensor) -> Tensor:
    shape = (4 * len(weight), weight.shape[1], 2, 2)
    return torch.empty(shape, dtype=weight.dtype, memory_format=torch.channels_last)


def _interleaved(x: Tensor, bias: Tensor) -> Tensor:
    rows, height, width, channels = x.shape
    return x.new_empty(rows, 2 * height - 2, 2 * width - 2, channels // 4)


_LAUNCHED: dict[str, Callable[..., Any]] = {
    "attend_over_frames": lambda q, *_: q.new_empty(q.shape),
    "normalise": lambda x, *_: torch.empty_like(x),
    "normalise_rows": lambda x, *_: (torch.empty_like(x), torch.empty_like(x)),
    "gate": lambda x: x.new_empty(*x.shape[:-1], x.shape[-1] // 2),
    "gated_product": lambda x, weight, bias: x.new_empty(*x.shape[:-1], len(weight) // 2),
    "reorder": lambda weight: torch.empty_like(weight, memory_format=torch.channels_last),
    "quarters": _quarters,
    "interleave": _interleaved,
    "add_up": lambda *_: None,
}
