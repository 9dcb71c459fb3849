"""What was found to work on a device in a dtype, by trying it there once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import torch

from .memory import may_have_run_out

Key = tuple[str, int | None, torch.dtype]
"""Type and index of a device, and a dtype."""

_ONE_AT_A_TIME = threading.Lock()
"""A host has a thread for each card, and not every Triton compiles in two."""


def key_of(device: torch.device, dtype: torch.dtype) -> Key:
    return device.type, device.index, dtype


def give_up(what: str, found: dict[Key, bool], device: torch.device, dtype: torch.dtype, problem: Exception) -> None:
    """Enter that something does not work there after all, and say why, once."""
    key = key_of(device, dtype)
    with _ONE_AT_A_TIME:
        if found.get(key):
            found[key] = False
            words = f"{type(problem).__name__}: {problem}"
            logging.warning("SEINE: no more %s on %s in %s, PyTorch's are used: %s", what, device, dtype, words)


def try_once(
    what: str, found: dict[Key, bool], device: torch.device, dtype: torch.dtype, trial: Callable[[], bool]
) -> None:
    """Enter whether something works there by its trial, which may raise anything, where there is no entry.

    There is an entry when the trial is over. There is none where memory ran out or somebody stopped it: that says
    nothing of the device, and the next run tries again.
    """
    key = key_of(device, dtype)
    with _ONE_AT_A_TIME:
        if key in found:
            return
        try:
            found[key] = trial()
        except Exception as problem:  # whatever a compiler, its driver or the card may say
            then = "this run does without, the next one tries again"
            if not may_have_run_out(problem):
                found[key], then = False, "PyTorch's are used"
            words = f"{type(problem).__name__}: {problem}"
            logging.warning("SEINE: no %s on %s in %s, %s: %s", what, device, dtype, then, words)
