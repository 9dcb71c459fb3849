"""Weights in every format that are not all on the card, with and without a LoRA, on a card that the CPU poses as."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import comfy.model_management
import comfy.sd
import torch
from comfyui_seine.comfy_adapter import files, loading, sampling, unet
from comfyui_seine.seine_model.conversion import convert
from comfyui_seine.tools.hosting.posing_device import PosingDevice, host_with_card
from torch import Tensor

FRAMES, SIZE = 2, 8
SETTINGS = {"seed": 7, "steps": 2, "cfg": 1.0, "sampler_name": "ddim", "scheduler": "seine"}
STAYS = {"all": None, "half": 0.5, "nothing": 0.0}
"""What share of the weights there is room for on the card; None: no limit."""
_GENERATOR = torch.Generator


def main(formats: list[str]) -> dict[str, Any]:
    """formats: weight dtypes of the loader, or of files by the converter."""
    files.register_folder()
    bundle = files.model_path("sample.safetensors")
    with (
        TemporaryDirectory() as folder,
        torch.inference_mode(False),
        torch.no_grad(),
        mock.patch.object(unet, "optimized_attention", unet.attention_pytorch),
    ):
        exact = loading.load_model(bundle, torch.float32)
        lora = lora_for(exact)
        expected = {"plain": run(exact), "LoRA": run(with_lora(exact, lora))}
        # Only a real card has generators.
        generators = mock.patch.object(torch, "Generator", lambda device="cpu": _GENERATOR("cpu"))
        with host_with_card(comfy.model_management), PosingDevice(), generators:
            found = {name: on_the_card(file_in(name, bundle, folder), name, lora, expected) for name in formats}
    return {"LoRA alone": error(expected["LoRA"], expected["plain"]), "formats": found}


def file_in(name: str, bundle: Path, folder: str) -> Path:
    if name in loading.WEIGHT_DTYPES:
        return bundle
    file = Path(folder, f"{name}.safetensors")
    if not file.exists():
        convert(bundle, file, name)
    return file


def on_the_card(file: Path, name: str, lora: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, Any]:
    """For each amount that stays: the share of weights there, and how far the clips are from fp32 on the CPU."""
    report: dict[str, Any] = {}
    for stays, share in STAYS.items():
        model = loading.load_model(file, loading.WEIGHT_DTYPES.get(name))
        with room_for(None if share is None else share * model.model_size()):
            plain = run(model)
            there = model.loaded_size() / model.model_size()
            report[stays] = {"there": there, "plain": error(plain, expected["plain"])}
            report[stays]["LoRA"] = error(run(with_lora(model, lora)), expected["LoRA"])
            report[stays]["after the LoRA"] = float((run(model) - plain).abs().max())
        comfy.model_management.unload_all_models()
    return report


@contextmanager
def room_for(size: float | None) -> Iterator[None]:
    """The host loads so many bytes of a model at most."""
    load = comfy.model_management.LoadedModel.model_load

    def limited(self: Any, lowvram_model_memory: float = 0, force_patch_weights: bool = False) -> Any:
        return load(self, max(size, 0.1), force_patch_weights)

    if size is None:
        yield
    else:
        with mock.patch.object(comfy.model_management.LoadedModel, "model_load", limited):
            yield


def run(model: Any) -> Tensor:
    width = model.model.diffusion_model.network.config.cross_attention_dim
    texts = torch.randn(2, 1, 77, width, generator=torch.Generator().manual_seed(0))
    conds = [[[text, {}]] for text in texts]
    latent = {"samples": torch.zeros(FRAMES, 4, SIZE, SIZE)}
    return sampling.sample(model, *conds, latent, **SETTINGS)["samples"].cpu().float()


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).std() / expected.std())


def lora_for(model: Any) -> dict[str, Tensor]:
    """Of linear layers and convolutions."""
    generator = torch.Generator().manual_seed(5)
    lora = {}
    for key, value in model.model.diffusion_model.network.state_dict().items():
        if key.endswith((".attn1.to_q.weight", ".ff.net.2.weight", ".conv2.weight")):
            name = "lora_unet_" + key.removesuffix(".weight").replace(".", "_")
            down = 0.2 * torch.randn(4, *value.shape[1:], generator=generator)
            up = 0.2 * torch.randn(len(value), 4, *[1] * (value.ndim - 2), generator=generator)
            lora |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
    return lora


def with_lora(model: Any, lora: dict[str, Tensor]) -> Any:
    return comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)[0]
