"""Dynamic VRAM on a card that the CPU poses as: pages of weights, maybe too few of them, or some taken away.

The host's own code pages weights in; in place of the library that has the card's memory stands `Pages`. What is in a
page that was taken away are NaNs, so that a weight used without being asked for spoils a clip.
"""

from __future__ import annotations

import ctypes
import importlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import comfy.memory_management
import comfy.model_management
import comfy.model_patcher
import comfy_aimdo.control
import comfy_aimdo.host_buffer
import comfy_aimdo.model_vbar
import comfy_aimdo.torch
import comfy_aimdo.vram_buffer
import torch
from comfyui_seine.tools.hosting.posing_device import CARD, Posing
from torch import Tensor, nn

PAGE = 1 << 14
"""Bytes of a page; real ones have 32 MB, as all weights of a small model have together."""
CAST_BUFFER = 1 << 26
_Allocation = tuple["_Memory", int, int]


class _Memory:
    """Bytes of a card, by their addresses from 0 on."""

    def __init__(self, size: int, device: int) -> None:
        self.device = device
        self.bytes = torch.full((int(size),), 0xFF, dtype=torch.uint8)

    def size(self) -> int:
        return len(self.bytes)

    def get(self, size: int, offset: int = 0) -> _Allocation:
        return self, offset, size


class Pages(_Memory):
    """In place of `comfy_aimdo.model_vbar.ModelVBAR`."""

    made: list[Pages] = []
    room: int | None = None
    """How many pages there is room for, all models together."""
    taken_every: int | None = None
    """After how many times that a weight was asked for all pages are taken away that are not in use."""

    def __init__(self, size: int, device: int) -> None:
        super().__init__(size // 5 + (1 << 22), device)  # of ten times the model's size
        self.given, self.asked, self.generations = 0, 0, 0
        self.there: dict[int, int] = {}
        self.pinned: Counter[int] = Counter()
        self.made.append(self)

    def alloc(self, size: int) -> _Allocation:
        start = -(-self.given // 512) * 512
        self.given = start + size
        if self.given > len(self.bytes):
            raise MemoryError
        return self, start, size

    def fault(self, start: int, size: int) -> Any:
        """The signature of these bytes' pages, which are now there; None where there is no room for them."""
        self.asked += 1
        if self.taken_every and self.asked % self.taken_every == 0:
            self.take()
        pages = _pages(start, size)
        missing = [page for page in pages if page not in self.there]
        room = len(missing) if self.room is None else self.room - sum(len(each.there) for each in self.made)
        for page in list(self.there):
            if room < len(missing) and page not in pages and self._take(page):
                room += 1
        if room < len(missing):
            return None
        for page in missing:
            self.generations += 1
            self.there[page] = self.generations
        self.pinned.update(pages)
        return (ctypes.c_uint32 * len(pages))(*(self.there[page] for page in pages))

    def unpin(self, start: int, size: int) -> None:
        for page in _pages(start, size):
            if not self.pinned[page]:
                raise RuntimeError(f"page {page} is given back, and nobody has asked for it")
            self.pinned[page] -= 1

    def take(self) -> int:
        """All pages that are not in use; how many."""
        return sum(map(self._take, list(self.there)))

    def _take(self, page: int) -> bool:
        if self.pinned[page]:
            return False
        del self.there[page]
        self.bytes[page * PAGE : (page + 1) * PAGE] = 0xFF
        return True

    def loaded_size(self) -> int:
        return PAGE * len(self.there)

    def free_memory(self, size: int) -> int:
        return PAGE * self.take()

    def prioritize(self, *_: Any) -> None: ...

    deprioritize = set_watermark_limit = set_watermark = prioritize


def _pages(start: int, size: int) -> range:
    return range(start // PAGE, -(-(start + size) // PAGE))


def _tensor(allocation: _Allocation, device: torch.device) -> Tensor:
    memory, start, size = allocation
    return Posing(memory.bytes[start : start + size], device)


@contextmanager
def dynamic_patchers() -> Iterator[None]:
    """Models that are loaded are the host's to page in, from where they lie in their files."""
    patchers, started = comfy.model_patcher, comfy_aimdo.control.init()
    importlib.reload(comfy_aimdo.host_buffer)  # main.py starts it before it imports this
    with (
        mock.patch.object(comfy.memory_management, "aimdo_enabled", started),
        mock.patch.object(patchers, "CoreModelPatcher", patchers.ModelPatcherDynamic),
    ):
        yield


class _Stream:
    """Of a card, on which everything happens at once."""

    cuda_stream = 0
    as_context = nullcontext

    def wait_stream(self, other: _Stream) -> None: ...

    def synchronize(self) -> None: ...


@contextmanager
def _streams(number: int) -> Iterator[None]:
    """Weights come on so many streams of the first card, each with a place of its own for what has no pages."""
    management, current = comfy.model_management, _Stream()
    with (
        mock.patch.object(management, "NUM_STREAMS", number),
        mock.patch.object(management, "STREAMS", {CARD: [_Stream() for _ in range(number)]}),
        mock.patch.object(management, "STREAM_AIMDO_CAST_BUFFERS", {}),
        mock.patch.object(management, "current_stream", lambda device: current),
    ):
        yield


@contextmanager
def paging(room: int | None = None, taken_every: int | None = None, streams: int = 0) -> Iterator[list[Pages]]:
    """Within `host_with_card` and a `PosingDevice`: the host pages weights in, each model's into one of these."""
    made: list[Pages] = []
    listed = comfy.model_patcher.ModelPatcherDynamic._load_list

    def list_of(patcher: Any, for_dynamic: bool = False, default_device: torch.device | None = None) -> list:
        # The host puts a tensor of the card into one of the CPU's (`param.data =`), as one of another class cannot be.
        for module in patcher.model.modules():
            own = dict(module.named_parameters(recurse=False))
            if default_device is not None and len(own) < sum(1 for _ in module.parameters()):
                for name, value in own.items():
                    setattr(module, name, nn.Parameter(value.to(default_device), requires_grad=False))
        return listed(patcher, for_dynamic, default_device)

    with (
        dynamic_patchers(),
        _streams(streams),
        mock.patch.object(comfy.model_patcher.ModelPatcherDynamic, "_load_list", list_of),
        mock.patch.object(comfy_aimdo.model_vbar, "ModelVBAR", Pages),
        mock.patch.object(comfy_aimdo.vram_buffer, "VRAMBuffer", lambda size, device: _Memory(CAST_BUFFER, device)),
        mock.patch.object(comfy_aimdo.torch, "aimdo_to_tensor", _tensor),
        # The library's own copies from files to the card; memory that is locked for copies.
        mock.patch.object(comfy.memory_management, "read_tensor_file_slice_into", lambda *_, **__: False),
        mock.patch.object(comfy.model_management.args, "disable_pinned_memory", True),
        mock.patch.multiple(Pages, made=made, room=room, taken_every=taken_every),
    ):
        yield made
