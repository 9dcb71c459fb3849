"""The host's torch.compile around the whole model, as its TorchCompileModel node puts it there."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.torch_helpers import set_torch_compile_wrapper
from comfyui_seine.comfy_adapter import keyframes, loading, sampling
from comfyui_seine.comfy_adapter.files import model_path, register_folder
from comfyui_seine.seine_model.masks import frame_mask
from torch._dynamo.utils import counters

FRAMES, SIZE = 4, 8


def main() -> dict[str, Any]:
    register_folder()
    model, clip, _ = loading.load_bundle(model_path("sample.safetensors"), None)
    given = torch.randn(FRAMES, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    conds = [
        keyframes.attach([[clip.encode_from_tokens(clip.tokenize(text)), {}]], frame_mask("first1", FRAMES), given)
        for text in ("a red ball moves left", "")
    ]
    settings = {"seed": 1, "steps": 3, "cfg": 6.0, "sampler_name": "ddim", "scheduler": "seine"}

    def run(chosen: Any) -> torch.Tensor:
        return sampling.sample(chosen, *conds, {"samples": torch.zeros(FRAMES, 4, SIZE, SIZE)}, **settings)["samples"]

    plain = run(model)
    # The backend runs the graph as it is, since kernels are PyTorch's matter; a break in the graph raises.
    compiled = model.clone(disable_dynamic=True)
    set_torch_compile_wrapper(compiled, backend="eager", fullgraph=True)
    counters.clear()
    found = run(compiled)
    return {"graphs": counters["stats"]["unique_graphs"], "difference": float((found - plain).abs().max())}
