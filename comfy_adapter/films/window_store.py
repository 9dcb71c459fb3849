"""Finished windows of films, on disk: what was cancelled, or changed in one place, need not be made again.

The store is a help and never a condition: where it cannot be read or written a warning says so once, and films go on.
Several servers may share one.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import time
from collections.abc import Collection
from pathlib import Path

import folder_paths
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...seine_model.writing import PART, whole_file

FOLDER = "seine_windows"
MOST_BYTES = 2 * 1024**3
"""A window of 16 frames at 320x512 is 0.7 MB. The longest unused go first; a film that is being made keeps its own."""
PART_SECONDS = 3600
"""A file that is still half written after so long was left by a run that ended."""
CLOCK_SECONDS = 60
"""A file further in the future than that says nothing about its use."""
_LATENTS, _CHECKSUM = "latents", "sha256"
_warned: set[str] = set()


def folder() -> Path:
    """In the host's user folder, created if need be; raises OSError where that cannot be."""
    path = Path(folder_paths.get_user_directory()) / FOLDER
    path.mkdir(parents=True, exist_ok=True)
    return path


def find(key: str, like: Tensor) -> Tensor | None:
    """The latents saved under this key; None where there are none, or what is there is not a whole window like this."""
    try:
        file = folder() / f"{key}.safetensors"
        if not stat.S_ISREG(os.lstat(file).st_mode):  # a pipe would be waited for
            return None
        with safe_open(file, "pt") as saved:
            checksum = (saved.metadata() or {}).get(_CHECKSUM)
            latents = saved.get_tensor(_LATENTS)
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError) as problem:
        _warn("read", problem)
        return None
    whole = latents.shape == like.shape and latents.dtype == like.dtype and checksum == _checksum(latents)
    if not whole or not torch.isfinite(latents).all():
        return None
    with contextlib.suppress(OSError):  # its use is noted for pruning alone
        os.utime(file)
    return latents


def save(key: str, latents: Tensor, of_film: Collection[str] = ()) -> None:
    """Write so that nothing half written is ever seen, and remove what has not been used for longest.

    of_film: keys of the windows that the film has found or made so far, which stay however many they are. A film that
    is larger than the store would else lose the first of them just before it is made again and needs them.
    """
    latents = latents.contiguous().cpu()
    try:
        with whole_file(folder() / f"{key}.safetensors") as part:
            save_file({_LATENTS: latents}, part, {_CHECKSUM: _checksum(latents)})
        _prune({key, *of_film})
    except (OSError, SafetensorError) as problem:
        _warn("written", problem)


def _checksum(latents: Tensor) -> str:
    return hashlib.sha256(latents.contiguous().flatten().view(torch.uint8).numpy().tobytes()).hexdigest()


def _prune(spared: set[str]) -> None:
    """Remove what is beyond MOST_BYTES, longest unused first, and what runs that ended have left half written."""
    now, found = time.time(), []
    for file in folder().iterdir():
        with contextlib.suppress(FileNotFoundError):  # another server was first
            facts = os.lstat(file)
            if not stat.S_ISREG(facts.st_mode):
                continue
            if file.suffix == PART and now - facts.st_mtime > PART_SECONDS:
                file.unlink()
            elif file.suffix == ".safetensors":
                used = facts.st_mtime if facts.st_mtime < now + CLOCK_SECONDS else 0.0
                found.append((used, facts.st_size, file))
    kept = 0
    for _, size, file in sorted(found, key=lambda entry: entry[0], reverse=True):
        kept += size
        if kept > MOST_BYTES and file.stem not in spared:
            file.unlink(missing_ok=True)


def _warn(what: str, problem: Exception) -> None:
    if what not in _warned:
        _warned.add(what)
        logging.warning("SEINE: windows of films cannot be %s (%s); films are made without them", what, problem)
