"""Whether an error says that memory ran out, which may be over by the next try."""

from __future__ import annotations

import errno

import torch

_WORDS = (
    *("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory"),
    *("cublas_status_alloc_failed", "cudnn_status_alloc_failed"),
)
"""How it is put by devices and libraries without an exception of their own for it."""
_NO_ENGINE = "unable to find an engine to execute this computation"
"""PyTorch's of a convolution for which every plan failed: on a full card, or in a dtype that it has none for."""


def ran_out(error: BaseException) -> bool:
    """Whether the error says that memory ran out, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)


def may_have_run_out(error: BaseException) -> bool:
    """Whether it says so, or may mean it: worth a smaller try, or a later one."""
    return ran_out(error) or (isinstance(error, RuntimeError) and _NO_ENGINE in str(error).lower())
