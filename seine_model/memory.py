"""Whether an error says that memory ran out, which may be over by the next try."""

from __future__ import annotations

import errno

import torch

_WORDS = (
    *("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory"),
    *("cublas_status_alloc_failed", "cudnn_status_alloc_failed"),
)
"""How it is put by devices and libraries without an exception of their own for it."""


def ran_out(error: BaseException) -> bool:
    """Whether the error says that memory ran out, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)
