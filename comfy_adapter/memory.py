"""What to do when the device's memory runs out: smaller pieces first, then words that help."""

from __future__ import annotations

import logging

import comfy.model_management
import torch

_WORDS = ("out of memory", "can't allocate memory", "not enough memory")
"""How devices without an exception of their own for it put it."""


class OutOfMemory(torch.OutOfMemoryError):
    """Nothing smaller is left to try. The message says what to lower, and the host unloads its models for it."""


def ran_out(error: BaseException) -> bool:
    """Whether the error says that memory ran out, on any device."""
    if isinstance(error, MemoryError) or (isinstance(error, Exception) and comfy.model_management.is_oom(error)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)


def make_room(what_next: str) -> None:
    """Give cached memory back to the device, and say in the log how work goes on."""
    logging.warning("SEINE: out of memory, %s", what_next)
    comfy.model_management.soft_empty_cache()
