"""What to do when the device's memory runs out: smaller pieces first, then words that help."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import comfy.model_management
import torch

from ..seine_model import memory


class OutOfMemory(torch.OutOfMemoryError):
    """Nothing smaller is left to try. The message says what to lower, and the host unloads its models for it."""

    __module__ = "builtins"  # which the host shows before the words, where it is any other


def ran_out(error: BaseException) -> bool:
    """Whether the error says that memory ran out, on any device."""
    # The host is asked first: it clears what such an error leaves behind.
    return (isinstance(error, Exception) and comfy.model_management.is_oom(error)) or memory.ran_out(error)


def may_have_run_out(error: BaseException) -> bool:
    """Whether it says so, or may mean it: for where something smaller is left to try."""
    return ran_out(error) or memory.may_have_run_out(error)


def attempt(call: Callable, *given: Any, last: bool = False, **options: Any) -> Any:
    """What the call returns; None where memory ran out, so that what it held by then is free again.

    last: nothing smaller is left to try, so that an error which may mean something else is raised as it is.
    """
    try:
        return call(*given, **options)
    except Exception as error:
        if not (ran_out(error) if last else may_have_run_out(error)):
            raise
        return None


def without_tiles(vae: Any) -> Any:
    """The same VAE, which raises where memory runs out for whole images.

    The host's own goes on in tiles then, for all images at once, where fewer of them would have come out the same.
    """
    whole = copy.copy(vae)
    for name in ("encode_tiled_", "_encode_tiled_owned", "decode_tiled_", "_decode_tiled_owned"):
        if hasattr(vae, name):
            setattr(whole, name, _no_tiles)
    return whole


def _no_tiles(*given: Any, **options: Any) -> None:
    raise OutOfMemory("vae: whole images do not fit into memory: use fewer at a time, or tiles")


def make_room(what_next: str) -> None:
    """Give cached memory back to the device, and say in the log how work goes on."""
    logging.warning("SEINE: out of memory, %s", what_next)
    comfy.model_management.soft_empty_cache()
