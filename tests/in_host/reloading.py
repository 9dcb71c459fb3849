"""MODEL, CLIP and VAE made anew from their files, as the host does for another device or for hooks on a CLIP."""

from __future__ import annotations

from typing import Any

import torch
from comfyui_seine.comfy_adapter import files, loading


def main() -> dict[str, Any]:
    files.register_folder()
    model, clip, vae = loading.load_bundle(files.model_path("sample.safetensors"), None)
    report: dict[str, Any] = {}
    for name, patcher in (("MODEL", model), ("CLIP", clip.patcher), ("VAE", vae.patcher)):
        another = patcher.clone(force_deepcopy=True)
        elsewhere = patcher.deepclone_multigpu(new_load_device=torch.device("cpu"))
        ours = patcher.model.state_dict()
        for other in (another, elsewhere):
            theirs = other.model.state_dict()
            equal = all(torch.equal(ours[key], theirs[key]) for key in ours) and ours.keys() == theirs.keys()
            apart = all(theirs[key].data_ptr() != ours[key].data_ptr() for key in ours if ours[key].numel() > 9)
            report.setdefault(name, []).append([equal, apart, other.model is not patcher.model])
    return report
