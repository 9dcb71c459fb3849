"""What `gpu.py` asks of a ComfyUI's own process on its device: predictions, a step's memory and time, several cards."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import comfy.model_management
import comfy.multigpu
import torch
from comfyui_seine.benchmarks import fake_cuda_in_host as counted
from comfyui_seine.benchmarks.made_up_in_host import FULL, patcher_of
from comfyui_seine.comfy_adapter import files, keyframes, loading, sampling
from comfyui_seine.comfy_adapter.decoding import decode_frames
from comfyui_seine.seine_model.config import SeineConfig
from comfyui_seine.seine_model.masks import frame_mask
from safetensors.torch import save_file
from torch import Tensor

FRAMES, SIZE = 8, 64
SETTINGS = {"seed": 3, "steps": 4, "cfg": 2.0, "sampler_name": "ddim", "scheduler": "seine"}
WARM_UP, TIMED = 1, 3
SMALL = SeineConfig(block_out_channels=(64, 64, 64, 64), layers_per_block=1, attention_head_dim=1)


def main(task: str, **arguments: Any) -> Any:
    return {"clips": clips, "steps": steps, "cards": cards}[task](**arguments)


def clips(models: dict[str, list[str]], target: str) -> dict[str, str]:
    """A clip's latents by a file and a weight dtype for each name, and its frames by the first, into `target`."""
    files.register_folder()
    made: dict[str, Tensor] = {}
    for name, (file, weight_dtype) in models.items():
        loaded = loading.load_bundle(files.model_path(file), None, loading.WEIGHT_DTYPES[weight_dtype])
        made[name] = _clip(*loaded)
        if "frames" not in made:
            made["frames"] = decode_frames(loaded[2], made[name], FRAMES).float()
    save_file({name: value.cpu().contiguous() for name, value in made.items()}, target)
    return {"device": comfy.model_management.get_torch_device_name(comfy.model_management.get_torch_device())}


def steps(names: list[str], small: bool) -> list[dict[str, Any]]:
    """A row of the counted table for each of these cases, on this device, with the memory and time it really takes."""
    device = comfy.model_management.get_torch_device()
    rows = []
    for case in [case for case in counted.CASES if case.name in names]:
        if small:
            case = replace(case, width=case.width // 8, height=case.height // 8, frames=4)
        rows.append(_step(case, device, SMALL if small else FULL))
        print(rows[-1], flush=True)
    return rows


def _step(case: counted.Case, device: torch.device, layout: SeineConfig) -> dict[str, Any]:
    patcher_of.cache_clear()  # one model at a time is on the card
    comfy.model_management.soft_empty_cache()
    patcher = patcher_of(case.dtype, False, device, layout)
    _write_weights(patcher.model)
    row = counted.row_of(case, device=device, layout=layout)
    try:
        row |= _measured(lambda: counted.step(case, patcher), device)
    except torch.OutOfMemoryError:
        row["error"] = row["error"] or "out of memory"
    return row


def _write_weights(model: torch.nn.Module) -> None:
    """Numbers of a network's size, since some of what is in new memory is slow to compute with."""
    for value in model.parameters():
        if value.dtype in (torch.float32, torch.float16, torch.bfloat16) and type(value.data) is Tensor:
            value.data.normal_(std=0.02)


def _measured(step: Callable[[], Any], device: torch.device) -> dict[str, Any]:
    """Seconds, the median of some; on CUDA also bytes of PyTorch's tensors at most."""
    cuda = device.type == "cuda"
    seconds = []
    for _ in range(WARM_UP + TIMED):
        if cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        step()
        if cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    found: dict[str, Any] = {"seconds": statistics.median(seconds[WARM_UP:])}
    return found | ({"allocated": torch.cuda.max_memory_allocated()} if cuda else {})


def cards(file: str) -> dict[str, Any]:
    """The same clip on one card and split over two, as ComfyUI's MultiGPU CFG Split does it."""
    files.register_folder()
    model, *others = loading.load_bundle(files.model_path(file), None)
    took, made = {}, {}
    for name in ("one", "two"):
        chosen = comfy.multigpu.create_multigpu_deepclones(model, 2, reuse_loaded=True) if name == "two" else model
        _clip(chosen, *others)
        began = time.perf_counter()
        made[name] = _clip(chosen, *others)
        took[name] = time.perf_counter() - began
    devices = [str(device) for device in comfy.model_management.get_all_torch_devices()]
    return {"devices": devices, "seconds": took, "difference": float((made["one"] - made["two"]).abs().max())}


def _clip(model: Any, clip: Any, vae: Any) -> Tensor:
    """Latents ``[frames, 4, h, w]`` between two given pictures."""
    mask, across = frame_mask("onelast1", FRAMES), torch.linspace(0, 1, SIZE).expand(SIZE, SIZE)
    pictures = torch.stack([torch.stack((across, across.T, flat), -1) for flat in (across * 0, across * 0 + 1)])
    first, last = vae.encode(pictures).cpu()
    given = torch.stack([first] * (FRAMES - 1) + [last])
    prompts = [
        keyframes.attach([[clip.encode_from_tokens(clip.tokenize(text)), {}]], mask, given)
        for text in ("a red ball over a green field, the camera pans left", "")
    ]
    latent = {"samples": torch.zeros_like(given)}
    return sampling.sample(model, *prompts, latent, **SETTINGS)["samples"].float().cpu()
