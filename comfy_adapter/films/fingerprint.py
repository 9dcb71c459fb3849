"""What a value holds, as a short text that is the same in another run of the program.

Good for finding finished work again: where it is not known what an object holds, its fingerprint is never the same, and
work is repeated, which costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn


def fingerprint(*values: Any) -> str:
    """64 hexadecimal digits for tensors, containers, functions with what they close over, and objects of them."""
    digest = hashlib.sha256()
    _add(values, digest, [])
    return digest.hexdigest()


def _add(value: Any, digest: Any, above: list[int]) -> None:
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | torch.dtype | torch.device):
        digest.update(f"{type(value).__name__}:{value!r};".encode())
        return
    if isinstance(value, Tensor):
        digest.update(f"tensor:{value.dtype}:{list(value.shape)};".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return
    if id(value) in above:
        digest.update(b"above;")
        return
    digest.update(f"{type(value).__module__}.{type(value).__qualname__}(".encode())
    for part in _parts(value):
        _add(part, digest, [*above, id(value)])
    digest.update(b")")


def _parts(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        return sorted(([key, value[key]] for key in value), key=lambda pair: repr(pair[0]))
    if isinstance(value, set | frozenset):
        return sorted(map(fingerprint, value))
    if isinstance(value, Sequence):
        return value
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [value.__module__, value.__qualname__, cells, value.__defaults__, value.__kwdefaults__]
    if isinstance(value, type):
        return [value.__module__, value.__qualname__]
    if isinstance(value, nn.Module):
        return [value.state_dict()]
    if isinstance(value, BuiltinFunctionType):
        return [value.__module__, value.__qualname__]
    return [vars(value)] if hasattr(value, "__dict__") else [uuid.uuid4().hex]
