"""Cases for `fake_cuda.py`: what the pack computes on a CUDA card, at full size, where there is none.

PyTorch's fake tensors have shapes, strides, dtypes and devices, but no values; operations on them check all that they
check on the card, and give what the card's would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import comfy.context_windows
import comfy.controlnet
import comfy.model_management
import comfy.ops
import comfy.sampler_helpers
import comfy.samplers
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfyui_seine.benchmarks.made_up_in_host import FULL, patcher_of
from comfyui_seine.benchmarks.vae_in_host import LAYERS
from comfyui_seine.comfy_adapter import unet
from comfyui_seine.comfy_adapter.keyframes import FRAMES, LATENT_SCALE, MASK, MASKED_LATENTS
from comfyui_seine.seine_model import convolution, fused, normalisation, products
from comfyui_seine.seine_model.config import SeineConfig
from comfyui_seine.tools.hosting.attention_kernels import refusals
from comfyui_seine.tools.hosting.device_watch import DeviceWatch
from comfyui_seine.tools.hosting.posing_device import CARD, host_with_card
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

TOKENS, WINDOW = 77, 16


@dataclass(frozen=True)
class Case:
    """One step's predictions. `guided`: for both prompts at once; `extra`: what else is at work, see `_with`."""

    name: str
    dtype: str = "fp16"
    width: int = 512
    height: int = 320
    frames: int = 16
    clips: int = 1
    guided: bool = True
    extra: str = ""


CASES = [
    Case("512x512", height=512),
    Case("512x512, PyTorch's own norms", height=512, extra="norms"),
    Case("512x512, with its own kernels", height=512, extra="kernels"),
    Case("512x320"),
    Case("512x320, with its own kernels", extra="kernels"),
    Case("512x320, one prompt", guided=False),
    Case("320x512", width=320, height=512),
    Case("560x240", width=560, height=240),
    Case("1024x576", width=1024, height=576),
    Case("256x256, one prompt", width=256, height=256, guided=False),
    Case("512x320, bf16", dtype="bf16"),
    Case("512x320, fp8", dtype="fp8_e4m3fn"),
    Case("512x320, fp8, with its own kernels", dtype="fp8_e4m3fn", extra="kernels"),
    Case("512x320, fp8, --fast fp8_matrix_mult", dtype="fp8_e4m3fn", extra="fp8 products"),
    Case("512x320, fp8_scaled (file)", dtype="fp8_scaled"),
    Case("512x320, int8 (file)", dtype="int8"),
    Case("512x320, fp32", dtype="fp32"),
    Case("512x320, 1 frame", frames=1),
    Case("512x320, 32 frames", frames=32),
    Case("520x264, 33 frames, bf16", dtype="bf16", width=520, height=264, frames=33),
    Case("512x320, 24 frames in windows of 16", frames=24, extra="windows"),
    Case("512x320, two clips with keyframes", clips=2, extra="keyframes"),
    Case("512x320, ControlNet, patches, a prompt for each frame", extra="all of it"),
]


def main(names: list[str] | None = None, faults: list[str] | None = None) -> dict[str, Any]:
    """A row for each case (or those of these names) and for the VAE, and one for each of these `FAULTS`, planted."""
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        host_with_card(comfy.model_management),
        FakeTensorMode(),
        mock.patch.object(torch, "equal", lambda *tensors: False),  # no values to compare
    ):
        patcher_of.cache_clear()
        rows = [row_of(case) for case in CASES if names is None or case.name in names]
        planted = {fault: row_of(CASES[0], FAULTS[fault]) for fault in faults or ()}
        return {"cases": rows, "decoding": [_decoding(frames) for frames in (1, 8)], "planted": planted}


def row_of(
    case: Case, fault: Callable | None = None, device: torch.device = CARD, layout: SeineConfig = FULL
) -> dict[str, Any]:
    """What is counted of a case, on a card or on one there is none of; with a fault, planted."""
    patcher = patcher_of(case.dtype, case.extra == "fp8 products", device, layout)
    model = patcher.model
    watch = DeviceWatch(device.type, model.get_dtype_inference())
    watch.hold(list(model.parameters()), list(model.buffers()))
    weights, refused, products, error, right = watch.held, Counter(), Counter(), "", False
    patcher.pre_run()
    try:
        with (
            _choices(case, device),
            watch,
            _watched(model.diffusion_model, watch),
            _attention(refused),
            _products(products),
        ):
            x, out = step(case, patcher, fault)
            right = (out.shape, out.dtype, out.device) == (x.shape, x.dtype, x.device)
            del x, out
    except Exception as problem:  # noqa: BLE001 - whatever it is, the row says it
        error = f"{type(problem).__name__}: {problem}".splitlines()[0]
    rows, size = _shape(case)
    batch = [(1 + case.guided) * (WINDOW if case.extra == "windows" else rows), 4, *size]
    return {
        "name": case.name,
        "placed": right and not watch.strays,
        "error": error,
        "weights": weights,
        "reserved": model.memory_required(batch),
        "factor": model.memory_usage_factor,
        "refused": refused,
        "products": products,
        **_noted(watch),
    }


@contextmanager
def _choices(case: Case, device: torch.device) -> Iterator[None]:
    """What is chosen by device: our kernels, which are on a card only where Triton compiles; PyTorch's norms."""
    with ExitStack() as stack:
        if device == CARD or case.extra == "norms":
            ready = mock.Mock(return_value=case.extra == "kernels")
            stack.enter_context(mock.patch.object(fused, "is_working", ready))
        for module in (convolution, products):  # on a card they have tensors that are their numbers
            stack.enter_context(mock.patch.object(module, "PLAIN", (*fused.PLAIN, FakeTensor)))
        if case.extra == "norms":
            others = dict.fromkeys(("normalises_as_it_lies", "puts_in_order"), lambda x: False)
            stack.enter_context(mock.patch.multiple(normalisation, **others))
        yield


def step(case: Case, patcher: Any, fault: Callable | None = None) -> tuple[Tensor, Tensor]:
    """A step's latents, and the prediction for the first prompt."""
    (rows, size), device = _shape(case), patcher.load_device
    x, sigma = torch.zeros(rows, 4, *size, device=device), torch.ones(rows, device=device)
    conds, options = _with(case, patcher, x)
    if fault is not None:
        _add_patch(options, "output_block_patch", fault)
    return x, comfy.samplers.calc_cond_batch(patcher.model, conds, x, sigma, options)[0]


def _shape(case: Case) -> tuple[int, tuple[int, int]]:
    """Rows of a step's latents, and their height and width."""
    return case.frames * case.clips, (case.height // LATENT_SCALE, case.width // LATENT_SCALE)


def _noted(watch: DeviceWatch) -> dict[str, Any]:
    return {name: getattr(watch, name) for name in ("strays", "waits", "kernels", "peak", "reordered")}


@contextmanager
def _watched(network: Any, watch: DeviceWatch) -> Iterator[None]:
    """Have `watch` note what happens within the forward of HostUNet."""
    inner = network.forward

    def forward(*args: Any, **kwargs: Any) -> Tensor:
        with watch.forward():
            return inner(*args, **kwargs)

    network.forward = forward
    try:
        yield
    finally:
        del network.forward


@contextmanager
def _attention(refused: Counter) -> Iterator[None]:
    """PyTorch's, which the host takes on NVIDIA's cards; counts what the packages that it can take instead refuse."""

    def attention(q: Tensor, k: Tensor, v: Tensor, heads: int, **options: Any) -> Tensor:
        split = [part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v)]
        refused.update(f"{name}: {why}" for name, why in refusals(*split).items())
        return unet.attention_pytorch(q, k, v, heads, **options)

    with mock.patch.object(unet, "optimized_attention", attention):
        yield


@contextmanager
def _products(counted: Counter) -> Iterator[None]:
    """Counts the products of the layers that are to multiply in fp8: those that do, and shapes of those that do not."""
    multiply = comfy.ops.fp8_linear

    def product(layer: Any, x: Tensor) -> Tensor | None:
        shapes = f"{x.ndim} dimensions by {list(layer.weight.shape)}"
        try:
            out = multiply(layer, x)
        except Exception as problem:
            counted[f"{shapes}: {problem}"] += 1
            raise
        counted[shapes if out is None else "fp8"] += 1
        return out

    with mock.patch.object(comfy.ops, "fp8_linear", product):
        yield


def _with(case: Case, patcher: Any, x: Tensor) -> tuple[list, dict[str, Any]]:
    """Conditioning of both prompts as samplers have it, and the model's options."""
    options = {**patcher.model_options, "transformer_options": {**patcher.model_options["transformer_options"]}}
    texts, carried, size = 1, {}, x.shape[-2:]
    if case.extra == "keyframes":
        mask = torch.empty(case.frames, 1, 1, 1).expand(-1, 1, *size)
        carried = {FRAMES: case.frames, MASK: mask, MASKED_LATENTS: torch.empty(case.frames, 4, *size)}
    if case.extra == "all of it":
        texts, carried = case.frames, {"control": _Control(case.width, case.height)}
        for name in _PATCHES:
            _add_patch(options, name, _PATCHES[name])
        replaced = {"attn1": {("middle", 0): _attend}, "attn2": {("input", 1): _attend}, "attn_temp": {}}
        replaced["attn_temp"] = {("output", 3): lambda attn, x, positions, extra: attn(x, positions)}
        options["transformer_options"]["patches_replace"] = replaced
    if case.extra == "windows":
        windows = comfy.context_windows
        handler = windows.IndexListContextHandler(
            windows.get_matching_context_schedule(windows.ContextSchedules.STATIC_STANDARD),
            windows.get_matching_fuse_method(windows.ContextFuseMethods.PYRAMID),
            context_length=WINDOW,
            context_overlap=4,
        )
        handler.set_step = lambda timestep, options: None  # looks for it among the sigmas, which have no values here
        options["context_handler"] = handler
    conds: list = [None, None]
    for index, name in enumerate(("positive", "negative")[: 1 + case.guided]):
        text = torch.empty(texts, TOKENS, patcher.model.diffusion_model.network.config.cross_attention_dim)
        converted = comfy.sampler_helpers.convert_cond([[text, carried]])
        conds[index] = comfy.samplers.encode_model_conds(patcher.model.extra_conds, converted, x, x.device, name)
    return conds, options


def _add_patch(options: dict[str, Any], name: str, patch: Callable) -> None:
    given = options["transformer_options"].get("patches", {})
    options["transformer_options"]["patches"] = {**given, name: [*given.get(name, ()), patch]}


def _attend(q: Tensor, k: Tensor, v: Tensor, extra: dict[str, Any]) -> Tensor:
    return unet.attention_pytorch(q, k, v, extra["n_heads"])


_PATCHES: dict[str, Callable] = {
    "attn1_patch": lambda q, k, v, extra: (q, k, v),
    "attn2_patch": lambda q, k, v, extra: (q, k, v),
    "attn1_output_patch": lambda n, extra: n,
    "input_block_patch": lambda h, options: h,
    "output_block_patch": lambda h, skip, options: (h, skip),
}


def _read_back(h: Tensor, skip: Tensor, options: Any) -> tuple[Tensor, Tensor]:
    return h * h.amax().item(), skip


FAULTS: dict[str, Callable] = {
    "device": lambda h, skip, options: (h + torch.ones(1, h.shape[1], 1, 1), skip),
    "elsewhere": lambda h, skip, options: (h + torch.ones(1, h.shape[1], 1, 1).to(h), skip),
    "dtype": lambda h, skip, options: ((h.float() * 1.5).to(h.dtype), skip),
    "item": _read_back,
}
"""Mistakes of every kind that the table is to show, as patches of an output block."""


class _Control(comfy.controlnet.ControlBase):
    """Residuals of a ControlNet for Stable Diffusion 1.x, in float32 as some give them."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self.cond_hint_original = torch.empty(1, 3, height, width)

    def get_control(self, x_noisy: Tensor, t: Tensor, cond: Any, batched_number: int, transformer_options: Any) -> dict:
        def residual(width: int, scale: int) -> Tensor:
            return x_noisy.new_empty(len(x_noisy), width, *(-(-side // scale) for side in x_noisy.shape[-2:]))

        skips = [(320, 1), (320, 1), (320, 1), (320, 2), (640, 2), (640, 2), (640, 4), (1280, 4), (1280, 4)]
        skips += [(1280, 8)] * 3
        return {"middle": [residual(1280, 8)], "output": [residual(*skip) for skip in skips]}


def _decoding(frames: int) -> dict[str, Any]:
    """The host's VAE of Stable Diffusion 1.x on so many frames at a time, in the dtype it takes on such a card."""
    dtype = comfy.model_management.vae_dtype(CARD, [torch.bfloat16, torch.float32])
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(CARD):
            vae = AutoencoderKL(ddconfig=LAYERS, embed_dim=LAYERS["z_channels"])
    finally:
        torch.set_default_dtype(default)
    watch = DeviceWatch(dtype=dtype)
    watch.hold(list(vae.parameters()), list(vae.buffers()))
    weights = watch.held
    with watch, watch.forward():
        vae.decode(torch.empty(frames, 4, 512 // LATENT_SCALE, 512 // LATENT_SCALE, device=CARD, dtype=dtype))
    name = f"VAE, {frames} frame{'s' * (frames > 1)} of 512x512"
    return {"name": name, "placed": not watch.strays, "error": "", "weights": weights, **_noted(watch)}
