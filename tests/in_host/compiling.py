"""The host's torch.compile around the whole model, as its TorchCompileModel node puts it there."""

from __future__ import annotations

from typing import Any
from unittest import mock

import torch
from comfy_api.torch_helpers import set_torch_compile_wrapper
from comfyui_seine.comfy_adapter import keyframes, loading, sampling
from comfyui_seine.comfy_adapter.files import model_path, register_folder
from comfyui_seine.seine_model import attention, device_choices
from comfyui_seine.seine_model.masks import frame_mask
from comfyui_seine.tests.in_host.standing_kernels import standing_kernels
from torch import Tensor
from torch._dynamo.utils import counters

FRAMES, SIZE = 4, 8
SETTINGS = {"seed": 1, "steps": 3, "cfg": 6.0, "sampler_name": "ddim", "scheduler": "seine"}


def main() -> dict[str, Any]:
    register_folder()
    example = Example()
    kernels = with_kernels(example)
    found, graphs = example.compiled()
    return {"graphs": graphs, "difference": apart(found, example.run(example.model)), "kernels": kernels}


class Example:
    """A model, and a short clip that it makes."""

    def __init__(self) -> None:
        self.model, clip, _ = loading.load_bundle(model_path("sample.safetensors"), None)
        given = torch.randn(FRAMES, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
        self.conds = [
            keyframes.attach([[clip.encode_from_tokens(clip.tokenize(text)), {}]], frame_mask("first1", FRAMES), given)
            for text in ("a red ball moves left", "")
        ]

    def run(self, model: Any) -> Tensor:
        latent = {"samples": torch.zeros(FRAMES, 4, SIZE, SIZE)}
        return sampling.sample(model, *self.conds, latent, **SETTINGS)["samples"]

    def compiled(self) -> tuple[Tensor, int]:
        """The clip, and how many graphs there are."""
        # The backend runs the graph as it is, since kernels are PyTorch's matter; a break in the graph raises.
        compiled = self.model.clone(disable_dynamic=True)
        set_torch_compile_wrapper(compiled, backend="eager", fullgraph=True)
        torch._dynamo.reset()
        counters.clear()
        return self.run(compiled), counters["stats"]["unique_graphs"]


def apart(clip: Tensor, other: Tensor) -> float:
    return float((clip - other).abs().max())


def with_kernels(example: Example) -> dict[str, Any]:
    """The same where the CPU is taken for a card with kernels, on which no forward ran uncompiled before."""
    tried = mock.Mock(return_value=True)
    with (
        standing_kernels() as launched,
        mock.patch.object(device_choices, "has_kernels", lambda device: True),
        mock.patch.object(device_choices, "may_attend_by_cudnn", lambda device, dtype: True),
        mock.patch.object(attention, "_working", {}),
        mock.patch.object(attention, "_is_right", tried),
    ):
        found, graphs = example.compiled()
        report = {"graphs": graphs, "cuDNN's tried": tried.called, "launched": dict(launched)}
        launched.clear()
        report["difference"] = apart(found, example.run(example.model))
        return report | {"launched uncompiled": dict(launched)}
