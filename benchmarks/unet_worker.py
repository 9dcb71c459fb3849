"""One process of benchmarks/unet.py: builds one implementation of the UNet, times it, prints what it measured as JSON.

Its one argument is a JSON object with the arguments of `measure`. Weights are random; nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import MethodType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from seine_model import SeineConfig, SeineUNet3D, fused
from seine_model import attention as attention_of_tokens
from seine_model.checkpoint import check_state_dict
from seine_model.device_choices import in_order
from seine_model.memory import ran_out
from seine_model.temporal import rotary_frequencies

IMPLEMENTATIONS = ("official", "ours", "ours compiled", "ours without its kernels", "ours in windows")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
FULL = SeineConfig()
SMALL = SeineConfig(block_out_channels=(32, 32, 64, 64), layers_per_block=1, attention_head_dim=1, norm_num_groups=8)
PROMPT_TOKENS = 77
WINDOW, OVERLAP = 16, 4
"""Frames: of the windows that a long clip is computed in, and common to neighbours (ComfyUI's own defaults)."""
CUDA_WARM_UP, CUDA_STEPS = 3, 10
CHECK_SAMPLE = (1, 9, 4, 8, 8)
CHECK_TOLERANCE = 1e-4

Inputs = tuple[Tensor, Tensor, Tensor]


def main(arguments: Sequence[str]) -> int:
    """Measure and print; running out of memory is a result, every other error is not."""
    options = json.loads(arguments[0])
    result = {"device": _device_name(options["device"])}
    try:
        result |= measure(**options)
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        result |= {"problem": "out of memory"}
    print(json.dumps(result))
    return 0


def measure(
    implementation: str,
    sample: Sequence[int],
    dtype: str,
    device: str,
    threads: int,
    official: str,
    small: bool,
    autotune: bool,
) -> dict[str, Any]:
    """Seconds of one guided step, and the peak memory in bytes: of the process on the CPU, of the tensors on CUDA."""
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = True  # as the official sampling script does
    config = SMALL if small else FULL
    attention = "own"
    started = time.perf_counter()
    if implementation == "official":
        model = build_official(Path(official), config, dtype, device)
        if device == "cuda":
            attention = _use_efficient_attention(model)
    else:
        model = build_ours(config, dtype, device)
        torch.backends.cudnn.benchmark = autotune
        if implementation == "ours without its kernels":
            fused.is_working = lambda device, dtype: False
            attention_of_tokens.takes_cudnn = lambda *given: False
        if implementation == "ours compiled":
            model.prepare(next(model.parameters()).device, DTYPES[dtype])
            model = torch.compile(model)
        elif implementation == "ours in windows":
            model = InWindows(model)
    built = time.perf_counter() - started
    inputs = make_inputs(sample, config, dtype, device)
    times, out = (_time_on_cuda if device == "cuda" else _time_on_cpu)(model, inputs)
    if not torch.isfinite(out).all():
        raise SystemExit(f"error: {implementation} predicts values that are not finite")
    return {**times, "build_seconds": built, "attention": attention}


def build_official(checkout: Path, config: SeineConfig, dtype: str = "fp32", device: str = "cpu") -> nn.Module:
    """The official network. Its zero-initialised layers are made to count, in outputs as in the power they draw."""
    sys.path.insert(0, str(checkout.resolve()))
    from models.unet import UNet3DConditionModel

    with torch.device(device):
        model = UNet3DConditionModel(sample_size=64, use_first_frame=False, **config.to_dict())
    model.eval().requires_grad_(False)
    for parameter in model.parameters():
        if not parameter.any():
            parameter.normal_(std=0.02)
    return nn.Module.to(model, DTYPES[dtype])  # diffusers' own warns of modules kept in float32, where there are none


def build_ours(config: SeineConfig, dtype: str, device: str) -> nn.Module:
    model = SeineUNet3D(config, dtype=DTYPES[dtype], device=device)
    tables = {key: rotary_frequencies() for key in model.state_dict() if key.endswith("rotary_emb.freqs")}
    model.load_state_dict(tables, strict=False)
    for parameter in model.parameters():  # as `load_unet` does
        parameter.data = in_order(parameter.data)
    return model.eval().requires_grad_(False)


class InWindows(nn.Module):
    """A clip in windows one after the other, and their mean where they overlap, as ComfyUI's context windows do it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, latents: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        frames = latents.shape[2]
        last = max(frames - WINDOW, 0)
        total, count = torch.zeros_like(latents[:, :4]), latents.new_zeros(frames)
        for start in dict.fromkeys(min(start, last) for start in range(0, last + WINDOW - OVERLAP, WINDOW - OVERLAP)):
            window = slice(start, start + WINDOW)
            total[:, :, window] += self.model(latents[:, :, window], timestep, context)
            count[window] += 1
        return total / count[:, None, None]


def make_inputs(sample: Sequence[int], config: SeineConfig, dtype: str = "fp32", device: str = "cpu") -> Inputs:
    """Latents, timesteps (different ones), text: the same numbers in every process."""
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(tuple(sample), generator=generator)
    timestep = torch.linspace(700, 200, sample[0]).long()
    context = torch.randn(sample[0], PROMPT_TOKENS, config.cross_attention_dim, generator=generator)
    return latents.to(device, DTYPES[dtype]), timestep.to(device), context.to(device, DTYPES[dtype])


@torch.no_grad()
def predict(model: nn.Module, inputs: Inputs) -> Tensor:
    out = model(*inputs)
    return out if isinstance(out, Tensor) else out.sample


def use_sdpa(model: nn.Module) -> None:
    """Give the official spatial and text attention PyTorch's fused kernels, where its xformers switch would apply.

    Attention over frames keeps its explicit products, as it does beside xformers: that has no place for its bias.
    """
    for block in model.modules():
        if hasattr(block, "attn_temp"):
            for module in (block.attn1, block.attn2):
                module._attention = MethodType(_sdpa, module)


def _sdpa(module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None) -> Tensor:
    """CrossAttention._attention: ``[batch*heads, tokens, dim]`` each to ``[batch, tokens, heads*dim]``."""
    if attention_mask is not None:
        attention_mask = attention_mask.expand(query.shape[0], -1, -1).unflatten(0, (-1, module.heads))
    # The fused kernels want four dimensions; with three PyTorch would fall back to explicit products.
    q, k, v = (x.unflatten(0, (-1, module.heads)) for x in (query, key, value))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=attention_mask, scale=module.scale)
    return out.transpose(1, 2).flatten(2)


def _use_efficient_attention(model: Any) -> str:
    """What the official configurations switch on; says which attention it now is."""
    try:
        import_module("xformers.ops")  # an installed one may still fail to load
        model.enable_xformers_memory_efficient_attention()
        return "xformers"
    except (ImportError, NotImplementedError, RuntimeError, ValueError) as error:
        print(f"xformers cannot be used, SDPA stands in: {error}", file=sys.stderr)
        use_sdpa(model)
        return "SDPA for xformers"


def _time_on_cpu(model: nn.Module, inputs: Inputs) -> tuple[dict[str, Any], Tensor]:
    import resource

    started = time.perf_counter()
    predict(model, inputs)
    warm_up = time.perf_counter() - started
    started, cpu_started = time.perf_counter(), time.process_time()
    out = predict(model, inputs)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    times = {"seconds": seconds, "cpu_seconds": cpu_seconds, "warm_up_seconds": warm_up, "peak_bytes": peak}
    return times, out


def _time_on_cuda(model: nn.Module, inputs: Inputs) -> tuple[dict[str, Any], Tensor]:
    started = time.perf_counter()
    for _ in range(CUDA_WARM_UP):
        predict(model, inputs)
    torch.cuda.synchronize()
    warm_up = time.perf_counter() - started
    torch.cuda.reset_peak_memory_stats()
    # Steps follow each other without waiting for the device, as in a sampler.
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(CUDA_STEPS + 1)]
    marks[0].record()
    for mark in marks[1:]:
        out = predict(model, inputs)
        mark.record()
    torch.cuda.synchronize()
    steps = [before.elapsed_time(after) / 1000 for before, after in zip(marks, marks[1:], strict=False)]
    peak = torch.cuda.max_memory_allocated()
    times = {"seconds": statistics.median(steps), "steps": steps, "warm_up_seconds": warm_up, "peak_bytes": peak}
    return times, out


def _device_name(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"


@cache
@torch.no_grad()
def count_flops(sample: tuple[int, ...], config: SeineConfig = FULL) -> int:
    """Of one forward of ours: matrix products and convolutions, a multiply-add is 2; nothing is computed.

    The official code has a little more to do: it projects the text anew for every frame.
    """
    model = SeineUNet3D(config, device="meta").eval()
    with FlopCounterMode(display=False) as counter:
        model(*make_inputs(sample, config, device="meta"))
    return counter.get_total_flops()


def check(official: Path, threads: int, small: bool) -> bool:
    """Compare official, ours and the stand-in for xformers, all with the same weights; prints the differences."""
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    config = SMALL if small else FULL
    reference = build_official(official, config)
    weights = reference.state_dict()
    ours = SeineUNet3D(config, device="meta")
    check_state_dict(weights, ours.config)
    ours.load_state_dict(weights, assign=True)
    inputs = make_inputs(CHECK_SAMPLE, config)
    expected, given = predict(reference, inputs), predict(ours.eval(), inputs)
    use_sdpa(reference)
    scale = float(expected.std())
    print(f"{len(weights)} keys; output {list(expected.shape)}, standard deviation {scale:.3g}")
    agree = True
    for name, out in (("ours", given), ("official with SDPA for xformers", predict(reference, inputs))):
        error = float((out - expected).abs().max()) / scale
        agrees = error <= CHECK_TOLERANCE
        agree = agree and agrees
        print(f"{name}: largest difference {error:.2g} of it: {'agrees' if agrees else 'DIFFERS'}")
    return agree


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
