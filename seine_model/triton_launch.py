"""Launching a kernel again without working out again how it was compiled, which takes longer than the launch itself.

Triton asks that of the kinds, alignments and values of all arguments, in Python, at every call. A step has hundreds of
calls, and they are the same in every step: what Triton found is kept by everything that it may depend on.
"""

from __future__ import annotations

import threading
from typing import Any

import triton
from torch import Tensor

KEPT = 4096
"""Launches kept at most; a step has a few dozen that differ."""
LAUNCHED_WITH_ALL = triton.__version__.startswith("3.6.")
"""Whether a compiled kernel takes all of its function's arguments, as in the version with which this was tried."""

_compiled: dict[tuple, Any] = {}
_ONE_AT_A_TIME = threading.Lock()
"""Compiles: a host has a thread for each card, and not every Triton compiles in two."""


def launch(
    kernel: Any, grid: tuple[int, int, int], arguments: tuple, constants: dict[str, Any], **options: int
) -> None:
    """`kernel[grid](*arguments, **constants, **options)`; constants are what is compiled in, the kernel's last."""
    # Numbers by their values: that tells apart more than Triton does, for which they are 1, multiples of 16, or others.
    kinds = [(a.dtype, a.data_ptr() % 16) if isinstance(a, Tensor) else a for a in arguments]
    key = (id(kernel), arguments[0].device, *kinds, *constants.values(), *options.values())
    compiled = _compiled.get(key)
    if compiled is not None:
        compiled[grid](*arguments, *constants.values())
        return
    with _ONE_AT_A_TIME:
        compiled = kernel[grid](*arguments, **constants, **options)
    if LAUNCHED_WITH_ALL and hasattr(compiled, "packed_metadata"):  # the interpreter gives nothing
        if len(_compiled) >= KEPT:
            _compiled.clear()
        _compiled[key] = compiled


def parts(length: int, part: int) -> int:
    """How many parts make up a length. `triton.cdiv` is made for kernels and takes as long as a launch."""
    return -(-length // part)


def power_of_two(number: int) -> int:
    """The next one, or the number itself; like `parts` in plain Python."""
    return 1 << (number - 1).bit_length()
