"""Finished windows of films, on disk: what was cancelled, or changed in one place, need not be made again."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

FOLDER = "seine_windows"
MOST_BYTES = 2 * 1024**3
"""A window of 16 frames at 320x512 is 0.7 MB. The longest unused go first."""


def folder() -> Path:
    """In the host's user folder, created if need be."""
    path = Path(folder_paths.get_user_directory()) / FOLDER
    path.mkdir(parents=True, exist_ok=True)
    return path


def find(key: str) -> Tensor | None:
    """The latents saved under this key; None where there are none that can be read."""
    file = folder() / f"{key}.safetensors"
    try:
        latents = load_file(file)["latents"]
        os.utime(file)
    except (OSError, SafetensorError, KeyError):
        return None
    return latents


def save(key: str, latents: Tensor) -> None:
    """Write so that an interruption leaves nothing half written, and remove what has not been used for longest."""
    file = folder() / f"{key}.safetensors"
    part = file.with_suffix(f".{os.getpid()}.part")
    save_file({"latents": latents.contiguous().cpu()}, part)
    os.replace(part, file)
    _prune()


def _prune() -> None:
    files = sorted(folder().glob("*.safetensors"), key=lambda file: file.stat().st_mtime, reverse=True)
    kept = 0
    for file in files:
        kept += file.stat().st_size
        if kept > MOST_BYTES:
            file.unlink(missing_ok=True)
