"""Weights in every format under dynamic VRAM, on a card that the CPU poses as, with few pages or some taken away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import comfy.model_management
import comfy.ops
import comfy.sd
import torch
import torch.nn.functional as functional
from comfyui_seine.comfy_adapter import files, loading, operations, unet
from comfyui_seine.tests.in_host.offloading import SETTINGS, error, file_in, lora_for, run, with_lora
from comfyui_seine.tests.in_host.posing_pages import paging
from comfyui_seine.tests.in_host.standing_kernels import standing_kernels
from comfyui_seine.tools.hosting.posing_device import Posing, PosingDevice, host_with_card
from comfyui_seine.tools.hosting.sample_bundle import SMALL, sample_bundle
from torch import Tensor

WAYS: dict[str, dict[str, int]] = {
    "all there": {},
    "copies": {},
    "taken away": {"taken_every": 190},
    "few": {"room": 3},
}
"""Room for pages, which some layers alone exceed; when they are taken away. Copies: the host gives other tensors."""
STOPS = ((functional, "linear"), (comfy.ops, "resolve_cast_module_with_vbar"))
"""Where memory runs out: at a product, or while its weight is brought."""
KERNELS: dict[str, dict[str, int]] = {"all there": {}, "none": {"room": 0, "streams": 2}}
"""What comes on a stream and has no pages shares a place with the next one that does."""
WIDE = replace(SMALL, block_out_channels=(64, 128, 128, 128))
"""So that queries, keys and values are in pages too, which layers of less than 16 KB are not."""
_GENERATOR = torch.Generator


def main(formats: dict[str, list[str]], kernels: dict[str, list[str]]) -> dict[str, Any]:
    """formats: weight dtypes of the loader, or of files by the converter, and which `WAYS` of each, or `KERNELS`."""
    files.register_folder()
    with (
        TemporaryDirectory() as folder,
        torch.inference_mode(False),
        torch.no_grad(),
        mock.patch.object(unet, "optimized_attention", unet.attention_pytorch),
        mock.patch.object(operations, "PLAIN", (*operations.PLAIN, Posing)),
    ):
        small = Example(files.model_path("sample.safetensors"), Path(folder))
        wide = Example(sample_bundle(Path(folder, "wide.safetensors"), WIDE, unet_only=True), Path(folder, "wide"))
        # Only a real card has generators.
        generators = mock.patch.object(torch, "Generator", lambda device="cpu": _GENERATOR("cpu"))
        with host_with_card(comfy.model_management), PosingDevice(), generators:
            found = {name: {way: paged(way, name, small) for way in ways} for name, ways in formats.items()}
            by_kernels = {name: {way: with_kernels(way, name, wide) for way in ways} for name, ways in kernels.items()}
    return {"LoRA alone": small.alone, "formats": found, "kernels": by_kernels, "only cast": only_cast()}


class Example:
    """A model's file, a LoRA for it, and the clips they make in fp32 on the CPU."""

    def __init__(self, file: Path, folder: Path) -> None:
        self.file, self.folder = file, folder
        folder.mkdir(exist_ok=True)
        exact = loading.load_model(file, torch.float32)
        self.lora = lora_for(exact)
        self.expected = {"plain": run(exact), "LoRA": run(with_lora(exact, self.lora))}
        self.alone = error(self.expected["LoRA"], self.expected["plain"])

    def load(self, name: str) -> Any:
        return loading.load_model(file_in(name, self.file, str(self.folder)), loading.WEIGHT_DTYPES.get(name))

    def off(self, clip: Tensor, kind: str) -> float:
        """How far a clip is from the same in fp32."""
        return error(clip, self.expected[kind])


def only_cast() -> dict[str, bool]:
    """Of the host's kinds of layers, whether a Linear is its weight's product and no more."""
    ops = comfy.ops
    kinds = {"plain": ops.disable_weight_init, "cast": ops.manual_cast, "fp8": ops.fp8_ops}
    kinds["mixed"] = ops.mixed_precision_ops()
    return {name: getattr(operations.lending(kind).Linear, "only_casts", False) for name, kind in kinds.items()}


def paged(way: str, name: str, example: Example) -> dict[str, Any]:
    """How far clips are from fp32 on the CPU; how often the host cast in a second one; what was not given back."""
    with paging(**WAYS[way]) as made, _casts(copied=way == "copies") as cast:
        model = example.load(name)
        first = run(model)
        plain = example.off(first, "plain")
        cast.clear()
        report: dict[str, Any] = {"dynamic": model.is_dynamic(), "plain": plain}
        report["again"] = float((run(model) - first).abs().max())
        report["cast"], report["asked"] = len(cast), sum(each.asked for each in made)
        report["in fp32"] = in_another_dtype(model)
        report["LoRA"] = example.off(run(with_lora(model, example.lora)), "LoRA")
        report["after the LoRA"] = float((run(model) - first).abs().max())
        report["stopped"] = [_stopped(model, *place) for place in STOPS]
        report["after that"] = float((run(model) - first).abs().max())
        report["in use"] = sum(each.pinned.total() for each in made)
        comfy.model_management.unload_all_models()
    return report


def with_kernels(way: str, name: str, example: Example) -> dict[str, Any]:
    """The same of clips for which the pack's own kernels are used, and how often each was, in a step."""
    with paging(**KERNELS[way]) as made, standing_kernels() as launched:
        model = example.load(name)
        report: dict[str, Any] = {"plain": example.off(run(model), "plain")}
        launched.clear()  # that they were tried first is in it
        report["LoRA"] = example.off(run(with_lora(model, example.lora)), "LoRA")
        report["launched"] = {kernel: number / SETTINGS["steps"] for kernel, number in launched.items()}
        # Which computes beside the layers instead of changing their weights.
        bypass, _ = comfy.sd.load_bypass_lora_for_models(model, None, example.lora, 1.0, 0.0)
        report["bypass"] = example.off(run(bypass), "LoRA")
        report["in use"] = sum(each.pinned.total() for each in made)
        comfy.model_management.unload_all_models()
    return report


def in_another_dtype(model: Any) -> bool:
    """Whether a layer whose weights were asked for in the model's dtype gives an input in fp32 a product in fp32."""
    layer = model.model.diffusion_model.network.mid_block.resnets[0].time_emb_proj
    x, own = torch.ones(1, layer.in_features, device=model.load_device), model.model.get_dtype_inference()
    return layer(x.to(own)).dtype == own and layer(x).dtype == torch.float32


def _stopped(model: Any, place: Any, name: str) -> str:
    """What a clip says for which memory runs out in the middle of a step, where this is called."""
    model.detach()  # so that weights are brought again
    inner, left = getattr(place, name), iter(range(12))

    def out_of_memory(*given: Any, **options: Any) -> Any:
        if next(left, None) is None:
            raise torch.OutOfMemoryError
        return inner(*given, **options)

    with mock.patch.object(place, name, out_of_memory):
        try:
            run(model)
        except Exception as error:  # noqa: BLE001 - whatever it is
            return str(error)
    return ""


@contextmanager
def _casts(copied: bool) -> Iterator[list[Any]]:
    """The layers that the host casts, but for tables of numbers."""
    cast, inner = [], comfy.ops.cast_bias_weight

    def counted(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(layer, torch.nn.Embedding):
            cast.append(layer)
        weight, *others = inner(layer, *args, **kwargs)
        return weight.clone() if copied else weight, *others

    with mock.patch.object(comfy.ops, "cast_bias_weight", counted):
        yield cast
