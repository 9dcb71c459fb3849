"""Files of weights as the host was told to read them: mapped, not mapped, or with each tensor's place in its file."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import comfy.model_management
import comfy.utils
import torch
from comfyui_seine.comfy_adapter import files, loading
from comfyui_seine.seine_model.checkpoint import read_checkpoint, unet_state_dict
from comfyui_seine.seine_model.conversion import convert
from comfyui_seine.tests.in_host.posing_pages import dynamic_patchers
from comfyui_seine.tools.hosting.posing_device import host_with_card
from torch import Tensor

FLAGS = {
    "as usual": {"DISABLE_MMAP": False},
    "--disable-mmap": {"DISABLE_MMAP": True},
    "--mmap-torch-files": {"MMAP_TORCH_FILES": True},
}


def main() -> dict[str, Any]:
    files.register_folder()
    with TemporaryDirectory() as folder:
        return _found(files_of(files.model_path("sample.safetensors"), Path(folder).resolve()))


def _found(paths: dict[str, Path]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for flag, settings in FLAGS.items():
        with mock.patch.multiple(comfy.utils, **settings):
            found[flag] = {name: kept(path) for name, path in paths.items()}
    with host_with_card(comfy.model_management), dynamic_patchers():
        found["paging"] = {name: paged(path) for name, path in paths.items() if name != "a .pt"}
    return found


def files_of(bundle: Path, folder: Path) -> dict[str, Path]:
    """The same model in each kind of file."""
    paths = {"a bundle": bundle, "int8": folder / "int8.safetensors", "a .pt": folder / "seine.pt"}
    convert(bundle, paths["int8"], "int8")
    torch.save({"ema": unet_state_dict(read_checkpoint(bundle)[0]), "step": 7}, paths["a .pt"])
    return paths


def kept(path: Path) -> list[bool]:
    """Whether the file is mapped or open: while what was read of it is there, while its model is, and afterwards."""
    read = loading._read_model_file(path)
    report = [held(path)]
    model = loading.load_model(path)
    del read
    report.append(held(path))
    del model
    return [*report, held(path)]


def held(path: Path) -> bool:
    name = str(path.resolve())
    opened = []
    for number in os.listdir("/proc/self/fd"):
        try:
            opened.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:  # the one that listed them
            continue
    return name in opened or name in Path("/proc/self/maps").read_text(encoding="utf-8")


def paged(path: Path) -> dict[str, Any]:
    """Of UNet and VAE: paged? How many weights can the host not read from the file? Are the others there?"""
    comfy.model_management.DIRTY_MMAPS.clear()
    model, _, vae = loading.load_bundle(path, None)
    report: dict[str, Any] = {"tidied up": len(comfy.model_management.DIRTY_MMAPS)}
    for name, patcher in (("UNet", model), ("VAE", vae.patcher)):
        weights = [getattr(value, "_qdata", value) for value in patcher.model.parameters()]
        places = [getattr(value.untyped_storage(), "_comfy_tensor_file_slice", None) for value in weights]
        same = [on_disk(place) == contents(value) for value, place in zip(weights, places, strict=True) if place]
        report[name] = [patcher.is_dynamic(), len(weights) - len(same), all(same)]
    return report


def on_disk(place: Any) -> bytes:
    return os.pread(place.file_ref, place.size, place.offset)


def contents(value: Tensor) -> bytes:
    return value.detach().flatten().view(torch.uint8).numpy().tobytes()
