"""The files that the workflows name, small and with made-up weights, in the layouts in which they are published."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from seine_model.checkpoint import UNET_PREFIX, read_checkpoint, strip_prefix
from tools.hosting.hosts import Host
from tools.hosting.model_files import BASE, INTERPOLATOR, SEINE, UPSCALER
from tools.hosting.sample_bundle import SMALL, sample_bundle


def other_inputs(host: Host) -> set[str]:
    """Core nodes of the workflows that have other inputs or outputs here than in the host they are written with."""
    return {"SaveVideo", "GetVideoComponents"} if host.version_numbers() < (0, 33, 0) else set()


def comparable(content: str, host: Host) -> dict[str, Any]:
    """A workflow of either format, without what it gives to `other_inputs`."""
    workflow = json.loads(content)
    for node in workflow.get("nodes", workflow.values()):
        if other_inputs(host) & {node.get("type"), node.get("class_type")}:
            node |= {"inputs": None, "outputs": None, "widgets_values": None}
    return workflow


def write_models(models: Path) -> None:
    """The checkpoint as pickled average beside other things, text encoder and VAE as Stable Diffusion has them."""
    for file in (SEINE, BASE, UPSCALER, INTERPOLATOR):
        (models / file.directory).mkdir(exist_ok=True)
    bundle = models / "bundle.safetensors"
    # The published file says nothing of its shape, so that it has the number of norm groups that is taken for granted.
    tensors, _ = read_checkpoint(sample_bundle(bundle, replace(SMALL, norm_num_groups=32)))
    torch.save({"ema": strip_prefix(tensors, UNET_PREFIX), "epoch": 3}, models / SEINE.directory / SEINE.name)
    base = {key: value.contiguous() for key, value in tensors.items() if not key.startswith(UNET_PREFIX)}
    save_file(base, models / BASE.directory / BASE.name)
    save_file(_upscaler(), models / UPSCALER.directory / UPSCALER.name)
    bundle.unlink()


def _upscaler(width: int = 8, growth: int = 32) -> dict[str, torch.Tensor]:
    """Real-ESRGAN's network for 4 times the size, with one block, that repeats pixels and changes nothing."""
    convolutions = {"conv_first": (3, width), "conv_last": (width, 3)}
    convolutions |= {f"conv_{name}": (width, width) for name in ("body", "up1", "up2", "hr")}
    for part in (1, 2, 3):
        for number in range(1, 6):
            outputs = growth if number < 5 else width
            convolutions[f"body.0.rdb{part}.conv{number}"] = width + (number - 1) * growth, outputs
    tensors = {}
    for name, (inputs, outputs) in convolutions.items():
        tensors[f"{name}.weight"] = torch.zeros(outputs, inputs, 3, 3)
        tensors[f"{name}.bias"] = torch.zeros(outputs)
        if name.startswith("conv_") and name != "conv_body":
            tensors[f"{name}.weight"][:, :, 1, 1] = torch.eye(outputs, inputs)
    return tensors
