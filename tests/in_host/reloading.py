"""MODEL, CLIP and VAE made anew from their files, as the host does for hooks on a CLIP and for another device.

The host's nodes for several devices act on them on two cards that the CPU poses as.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import comfy.model_management
import torch
from comfy_extras import nodes_multigpu
from comfyui_seine.comfy_adapter import files, keyframes, loading, sampling, unet
from comfyui_seine.comfy_adapter.model import SeineModel
from comfyui_seine.seine_model import fused
from comfyui_seine.seine_model.masks import frame_mask
from comfyui_seine.tools.hosting.posing_device import PosingDevice, host_with_card
from torch import Tensor

FRAMES, SIZE = 4, 64
SETTINGS = {"seed": 3, "steps": 3, "cfg": 2.0, "sampler_name": "ddim", "scheduler": "seine"}
PROMPTS = ("a red ball moves left over a green field", "")
_GENERATOR = torch.Generator


def main() -> dict[str, Any]:
    files.register_folder()
    return {"anew": anew(), "cards": on_two_cards()}


def anew() -> dict[str, Any]:
    report: dict[str, Any] = {}
    for name, patcher in zip(("MODEL", "CLIP", "VAE"), patchers(*loaded()), strict=True):
        another = patcher.clone(force_deepcopy=True)
        elsewhere = patcher.deepclone_multigpu(new_load_device=torch.device("cpu"))
        ours = patcher.model.state_dict()
        for other in (another, elsewhere):
            theirs = other.model.state_dict()
            equal = all(torch.equal(ours[key], theirs[key]) for key in ours) and ours.keys() == theirs.keys()
            apart = all(theirs[key].data_ptr() != ours[key].data_ptr() for key in ours if ours[key].numel() > 9)
            report.setdefault(name, []).append([equal, apart, other.model is not patcher.model])
    return report


def loaded() -> tuple[Any, Any, Any]:
    return loading.load_bundle(files.model_path("sample.safetensors"), None, torch.float32)


def patchers(model: Any, clip: Any, vae: Any) -> tuple[Any, Any, Any]:
    return model, clip.patcher, vae.patcher


def on_two_cards() -> dict[str, Any]:
    # Only a real card has generators.
    generators = mock.patch.object(torch, "Generator", lambda device="cpu": _GENERATOR("cpu"))
    attention = mock.patch.object(unet, "optimized_attention", unet.attention_pytorch)
    two_cards = host_with_card(comfy.model_management, cards=2)
    with torch.inference_mode(False), torch.no_grad(), two_cards, PosingDevice(), generators, attention:
        model, clip, vae = loaded()
        return {"MODEL": split(model, clip, vae), "CLIP": other_clip(clip), "VAE": other_vae(vae)}


def split(model: Any, clip: Any, vae: Any) -> dict[str, Any]:
    """A clip on one card and on two, and how many conditions each card was given."""
    report: dict[str, Any] = {}
    made = {}
    for name, cards in (("one", 1), ("two", 2)):
        (chosen,) = nodes_multigpu.MultiGPUCFGSplitNode.execute(model, cards).args
        copies = [copy.model.diffusion_model for copy in chosen.get_additional_models_with_key("multigpu")]
        for unet_of_copy in copies:
            unet_of_copy._too_large = 1  # as a run leaves it for which memory did not suffice
        with counted() as report[name], mock.patch.object(fused, "_working", {}):
            made[name] = sample(chosen, clip, vae)
            report["tried on"] = sorted({f"{kind}:{index}" for kind, index, _ in fused._working})
        report["copies begin anew"] = [unet_of_copy._too_large for unet_of_copy in copies] == [math.inf] * (cards - 1)
    return report | compared(made["two"], made["one"])


@contextmanager
def counted() -> Iterator[Counter]:
    """Conditions that were computed, by their device."""
    seen: Counter = Counter()
    predict = SeineModel.apply_model

    def counting(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        seen[str(x.device)] += len(x) // FRAMES
        return predict(self, x, *args, **kwargs)

    with mock.patch.object(SeineModel, "apply_model", counting):
        yield seen


def sample(model: Any, clip: Any, vae: Any) -> Tensor:
    """Latents ``[frames, 4, h, w]`` between two given pictures."""
    pictures = torch.stack([torch.full((SIZE, SIZE, 3), grey) for grey in (0.2, 0.8)])
    first, last = vae.encode(pictures).cpu()
    given = torch.stack([first] * (FRAMES - 1) + [last])
    mask = frame_mask("onelast1", FRAMES)
    conds = [keyframes.attach([[embedded(clip, text), {}]], mask, given) for text in PROMPTS]
    latent = {"samples": torch.zeros_like(given)}
    return sampling.sample(model, *conds, latent, **SETTINGS)["samples"].float().cpu()


def embedded(clip: Any, text: str) -> Tensor:
    return clip.encode_from_tokens(clip.tokenize(text))


def other_clip(clip: Any) -> dict[str, Any]:
    (moved,) = nodes_multigpu.SelectCLIPDeviceNode.execute(clip, "gpu:1").args
    here, there = (embedded(each, PROMPTS[0]).float().cpu() for each in (clip, moved))
    return where(clip.patcher, moved.patcher) | compared(there, here)


def other_vae(vae: Any) -> dict[str, Any]:
    (moved,) = nodes_multigpu.SelectVAEDeviceNode.execute(vae, "gpu:1").args
    latents = torch.randn(FRAMES, 4, 8, 8, generator=_GENERATOR().manual_seed(0))
    here, there = (each.decode(latents).float().cpu() for each in (vae, moved))
    return where(vae.patcher, moved.patcher) | compared(there, here)


def where(*loaded_there: Any) -> dict[str, list[str]]:
    """The devices that weights were loaded to."""
    return {"devices": [str(next(patcher.model.parameters()).device) for patcher in loaded_there]}


def compared(found: Tensor, expected: Tensor) -> dict[str, Any]:
    return {"shape": list(found.shape), "off": float((found - expected).abs().max() / expected.std())}
