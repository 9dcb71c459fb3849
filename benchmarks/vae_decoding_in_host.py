"""Times decoding inside a ComfyUI's process, for `vae.py` (see tools/hosting/in_host.py)."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import comfy.sd
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfyui_seine.benchmarks.vae_in_host import LAYERS
from comfyui_seine.comfy_adapter.narrow_vae import leave_out_zero_channels
from comfyui_seine.seine_model.base import vae_weights
from comfyui_seine.seine_model.checkpoint import VAE_PREFIX, read_checkpoint, strip_prefix
from torch import Tensor, nn

SD = ((1, 32), (4, 16))
"""Frames, and sides of their latents."""
SMALL = ((16, 8), (2, 64))


def main(model: str, runs: int, threads: int) -> list[list[str]]:
    """Rows of the table."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    full = AutoencoderKL(ddconfig=LAYERS, embed_dim=LAYERS["z_channels"]).eval()
    for weight in full.parameters():
        torch.nn.init.normal_(weight, std=0.02)
    tensors, _ = read_checkpoint(Path(model))
    small = comfy.sd.VAE(sd=strip_prefix(vae_weights(tensors, model), VAE_PREFIX)).first_stage_model
    narrow = copy.deepcopy(small)
    leave_out_zero_channels(narrow)
    rows = []
    for dtype in (torch.float32, torch.bfloat16):
        for network in (full, small, narrow):
            network.to(dtype)
        for frames, side in SD:
            ways = {"plain order": (full, False), "channels last": (full, True)}
            rows += table("Stable Diffusion 1.x", torch.randn(frames, 4, side, side).to(dtype), ways, runs)
        for frames, side in SMALL:
            ways = {
                "plain order": (small, False),
                "channels last": (small, True),
                "channels last, none that are zero": (narrow, True),
            }
            rows += table("small model", torch.randn(frames, 4, side, side).to(dtype), ways, runs)
    return rows


def table(name: str, latents: Tensor, ways: dict[str, tuple[nn.Module, bool]], runs: int) -> list[list[str]]:
    calls = {way: decoding(*given, latents) for way, given in ways.items()}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for run in range(runs + 1):  # one of each before is not counted
        for way, call in calls.items():
            began = time.perf_counter()
            call()
            if run:
                times[way].append(1000 * (time.perf_counter() - began))
    first = statistics.median(next(iter(times.values())))
    size = f"{len(latents)} of {8 * latents.shape[-1]}x{8 * latents.shape[-2]}, {str(latents.dtype)[6:]}"
    middle = {way: statistics.median(values) for way, values in times.items()}
    return [[name, size, way, f"{value:.0f}", f"{first / value:.2f}"] for way, value in middle.items()]


def decoding(network: nn.Module, channels_last: bool, latents: Tensor) -> Callable[[], Tensor]:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return lambda: network.decode(latents.contiguous(memory_format=layout))
