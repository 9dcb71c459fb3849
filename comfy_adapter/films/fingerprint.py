"""What a value holds, as a short text that is the same in another run of the program.

Good for finding finished work again: all that decides the result by class and by content, functions by their code.
Where it is not known what an object holds there is no fingerprint, and work is repeated, which costs time and nothing
else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache, partial
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from comfy.controlnet import ControlBase
from comfy.model_patcher import ModelPatcher
from comfyui_version import __version__ as host_version
from torch import Tensor, nn

_PLAIN = bool | int | float | complex | str | bytes | torch.dtype | torch.device | Path
_PATCHER_PARTS = (
    *("patches", "object_patches", "weight_wrapper_patches", "model_options", "injections", "wrappers", "callbacks"),
    *("hook_patches", "forced_hooks", "additional_models"),
)
"""What a MODEL changes of the model inside it."""
_WHILE_RUNNING = {
    *("cond_hint", "timestep_range", "model_sampling_current", "extra_concat", "multigpu_clones", "load_device"),
    *("control_model", "sub_model"),  # what they share with the patcher beside them
}
"""What a control sets of itself while it runs."""


class _Unknown(Exception):
    """An object of which is not known what it holds."""


class Fingerprints:
    """Fingerprints of one film. What is large is read once, however many windows have it."""

    def __init__(self) -> None:
        self._modules: dict[int, tuple[nn.Module, bytes]] = {}

    def of(self, *values: Any) -> str | None:
        """64 hexadecimal digits; None where something is not known. Code and host are part of it, by `code_version`."""
        digest = hashlib.sha256(code_version().encode())
        try:
            self._add(values, digest, [])
        except _Unknown:
            return None
        return digest.hexdigest()

    def _add(self, value: Any, digest: Any, above: list[int]) -> None:
        if value is None or isinstance(value, _PLAIN):
            digest.update(f"{type(value).__name__}:{value!r};".encode())
            return
        if isinstance(value, Tensor):
            digest.update(f"tensor:{value.dtype}:{list(value.shape)};".encode())
            if value.device.type == "meta":
                raise _Unknown
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
            return
        if isinstance(value, np.ndarray | np.generic):
            digest.update(f"array:{value.dtype}:{value.shape};".encode() + value.tobytes())
            return
        if id(value) in above:
            digest.update(f"above {len(above) - above.index(id(value))};".encode())
            return
        above = [*above, id(value)]
        digest.update(f"{_lineage(type(value))}(".encode())
        if isinstance(value, nn.Module):
            digest.update(self._module(value, above))
        else:
            for part in self._parts(value):
                self._add(part, digest, above)
        digest.update(b")")

    def _module(self, module: nn.Module, above: list[int]) -> bytes:
        """Weights, classes and plain settings of a module and all in it."""
        if id(module) not in self._modules:
            digest = hashlib.sha256()
            self._add(module.state_dict(), digest, above)
            for name, part in module.named_modules():
                plain = {key: item for key, item in vars(part).items() if item is None or isinstance(item, _PLAIN)}
                self._add([name, _lineage(type(part)), plain], digest, above)
            self._modules[id(module)] = module, digest.digest()
        return self._modules[id(module)][1]

    def _parts(self, value: Any) -> Sequence[Any]:
        """What an object is made of; raises _Unknown."""
        if isinstance(value, Mapping):
            return sorted(([key, value[key]] for key in value), key=lambda pair: repr(pair[0]))
        if isinstance(value, set | frozenset):
            found = [self.of(item) for item in value]
            if None in found:
                raise _Unknown
            return sorted(found)
        if isinstance(value, ModelPatcher):
            return [value.model, *(getattr(value, name) for name in _PATCHER_PARTS)]
        if isinstance(value, ControlBase):
            return [{key: item for key, item in vars(value).items() if key not in _WHILE_RUNNING}]
        if isinstance(value, Enum):
            return [value.name, value.value]
        if isinstance(value, Sequence):
            return value
        if isinstance(value, partial):
            return [value.func, value.args, value.keywords]
        if isinstance(value, MethodType):
            return [value.__func__, value.__self__]
        if isinstance(value, FunctionType):
            cells = [_content(cell) for cell in value.__closure__ or ()]
            return [
                _module_name(value),
                value.__qualname__,
                value.__code__,
                cells,
                value.__defaults__,
                value.__kwdefaults__,
            ]
        if isinstance(value, CodeType):
            return [value.co_code, value.co_consts, value.co_names, value.co_varnames]
        if isinstance(value, type):
            return [_lineage(value)]
        if isinstance(value, BuiltinFunctionType):
            return [_module_name(value), value.__qualname__]
        if not hasattr(value, "__dict__"):
            raise _Unknown
        return [vars(value)]


def patches_of(model: Any) -> list[Any]:
    """What a MODEL changes of the model inside it, for its fingerprint."""
    return [getattr(model, name) for name in _PATCHER_PARTS]


@cache
def code_version() -> str:
    """The host's version, and a hash of the pack's own code: a mended network or seam makes no use of older frames."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256(host_version.encode())
    for file in sorted(file for folder in ("comfy_adapter", "seine_model") for file in (root / folder).rglob("*.py")):
        digest.update(f"{file.relative_to(root).as_posix()}:".encode() + file.read_bytes())
    return digest.hexdigest()


def _lineage(kind: type) -> str:
    """A class by the names of all it is made from: the host makes classes of one name from several others."""
    return " ".join(f"{_module_name(part)}.{part.__qualname__}" for part in kind.__mro__)


def _module_name(value: Any) -> str:
    """Without the folder: the host calls a pack's module by its path, which is another one on another machine."""
    return re.split(r"[/\\]", str(value.__module__))[-1]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty: its function has not come so far
        return "empty cell"
