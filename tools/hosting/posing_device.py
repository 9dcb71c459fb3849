"""CUDA cards where there are none: tensors that lie in the CPU's memory, compute there, and say they are a card's.

What PyTorch refuses on a real card it refuses here: operations on tensors of two devices, and reading a tensor of the
card as if it were the CPU's. Values are real, so that whole graphs run, and are equal to the CPU's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _get_current_dispatch_mode,
    is_traceable_wrapper_subclass,
)
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten

CARD = torch.device("cuda", 0)
_BETWEEN_DEVICES = {aten._to_copy, aten.copy_}
_INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
"""Whose indices may be the CPU's."""
_THREAD = threading.local()


class Posing(Tensor):
    """Stands for a tensor on a card; `held` has its values."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor, card: torch.device) -> Posing:
        if held.dtype == torch.float64:
            raise TypeError(f"{card} is to hold float64, which devices of Apple and some of Intel cannot")
        options = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        return Tensor._make_wrapper_subclass(cls, held.shape, device=card, **options)

    def __init__(self, held: Tensor, card: torch.device) -> None:
        self.__dict__["held"] = held

    def tolist(self) -> Any:
        return self.cpu().tolist()  # which PyTorch refuses for classes of one's own

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class PosingDevice(TorchDispatchMode):
    """While it is entered tensors can be made on a card, and moved to it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def __enter__(self) -> PosingDevice:
        torch._C._ensureCUDADeviceGuardSet()
        torch._C._set_only_lift_cpu_tensors(True)  # or torch.tensor would go to the real card by itself
        torch.__future__.set_overwrite_module_params_on_conversion(True)  # as weights of another class need it
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
        torch._C._set_only_lift_cpu_tensors(False)
        super().__exit__(*error)


def current_card() -> int:
    """Index of the card that this thread has chosen, the first where it has not."""
    return getattr(_THREAD, "card", CARD.index)


def choose_card(device: torch.device | int) -> None:
    """For this thread, which can from now on have tensors on cards, as any thread can on real ones."""
    _THREAD.card = device if isinstance(device, int) else device.index
    if threading.current_thread() is not threading.main_thread() and _get_current_dispatch_mode() is None:
        PosingDevice().__enter__()


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if any(is_traceable_wrapper_subclass(leaf) for leaf in tree_leaves((args, kwargs))):
        return NotImplemented  # made of other tensors, which will come by themselves
    packet, given, posing = func.overloadpacket, [], {}

    def held(value: Tensor) -> Tensor:
        given.append(value)
        if not isinstance(value, Posing):
            return value
        posing[id(value.held)] = value
        return value.held

    args, kwargs = _mapped(args, held), _mapped(kwargs, held)
    _check_devices(func, packet, given)
    device = kwargs.get("device")
    if device is None:
        sources = given[:1] if packet in _BETWEEN_DEVICES else given
        card = next((part.device for part in sources if isinstance(part, Posing)), None)
    else:
        card = _card_of(torch.device(device))
        kwargs = {**kwargs, "device": torch.device("cpu")}
    out = func(*args, **kwargs)

    def shown(value: Tensor) -> Tensor:
        changed = posing.get(id(value))  # in place
        return Posing(value, card) if changed is None else changed

    return out if card is None else _mapped(out, shown)


def _card_of(device: torch.device) -> torch.device | None:
    if device.type != CARD.type:
        return None
    return torch.device(CARD.type, current_card() if device.index is None else device.index)


def _check_devices(func: Any, packet: Any, given: list[Tensor]) -> None:
    """Raises RuntimeError, as PyTorch does, where tensors of a card meet those of the CPU or of another card."""
    if packet in _BETWEEN_DEVICES or (packet in _INDEXED and isinstance(given[0], Posing)):
        return
    devices = {part.device for part in given if part.ndim or isinstance(part, Posing)}  # numbers may come from the CPU
    if len(devices) > 1:
        found = " and ".join(sorted(map(str, devices)))
        raise RuntimeError(f"Expected all tensors to be on the same device, but found {found}, in {func}")


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same, with each tensor in it changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)(_mapped(part, change) for part in value)
    return {key: _mapped(part, change) for key, part in value.items()} if isinstance(value, dict) else value


@contextmanager
def host_with_card(
    management: Any, memory: int = 24 << 30, capability: tuple[int, int] = (8, 6), cards: int = 1, **arguments: Any
) -> Iterator[None]:
    """The host's `comfy.model_management` finds NVIDIA cards of so many bytes, as if started with these arguments."""
    facts = {"major": capability[0], "minor": capability[1], "name": "posing", "total_memory": memory}
    nothing = {"active_bytes.all.current": 0, "reserved_bytes.all.current": 0}
    cuda = {
        "get_device_properties": lambda device=None: SimpleNamespace(**facts),
        "get_device_name": lambda device=None: facts["name"],
        "current_device": current_card,
        "set_device": choose_card,
        "device_count": lambda: cards,
        "memory_stats": lambda device=None: nothing,
        "mem_get_info": lambda device=None: (memory, memory),
        "is_bf16_supported": lambda *_: True,
        "_lazy_init": lambda: None,
        "synchronize": lambda device=None: None,
    }

    def devices(exclude_current: bool = False) -> list[torch.device]:
        indices = [index for index in range(cards) if not (exclude_current and index == current_card())]
        return [torch.device(CARD.type, index) for index in indices]

    everything = arguments.get("gpu_only", False)
    state = management.VRAMState.HIGH_VRAM if everything else management.VRAMState.NORMAL_VRAM
    host = {
        "cpu_state": management.CPUState.GPU,
        "vram_state": state,
        "ENABLE_PYTORCH_ATTENTION": True,
        "get_torch_device": lambda: torch.device(CARD.type, current_card()),
        "get_all_torch_devices": devices,
    }
    with (
        mock.patch.multiple(torch.cuda, **cuda),
        mock.patch.multiple(management, **host),
        mock.patch.multiple(management.args, **{"cpu": False, **arguments}),
    ):
        yield
