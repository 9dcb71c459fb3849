"""What a computation asks of its device, seen while it runs: on a real one, a fake one or one that another poses as.

PyTorch tells of every operation that reaches a device, once it is broken into those the device has kernels for. From
that: where the host must wait for the device, what is computed elsewhere or in another dtype, what is copied only to
lie in another order, which kernels have the attention, and how much memory is held at most.
"""

from __future__ import annotations

import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._prims_common import suggest_memory_format
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, is_traceable_wrapper_subclass
from torch.utils._pytree import tree_leaves

from .attention_kernels import attend

aten = torch.ops.aten

BLOCK = 512
"""Bytes that PyTorch's allocator on CUDA rounds up to."""
LARGE = 1 << 18
"""Values from which a tensor is a map, tokens or weights, and no table, timestep or bias."""
_READS_BACK = {aten._local_scalar_dense, aten.nonzero, aten.equal, aten.masked_select, aten._unique2}
"""Results that the host needs to go on."""
_INDEXED = {aten.index, aten.index_put, aten.index_put_}
_FOLDERS = ("seine_model", "comfy_adapter", "films", "nodes", "in_host", "benchmarks")


class DeviceWatch(TorchDispatchMode):
    """Watches what happens on `device_type` while it is entered. `dtype`: what large tensors are computed in.

    Memory is followed all the time, the rest is noted within `forward` alone.
    """

    def __init__(self, device_type: str = "cuda", dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.device_type, self.dtype = device_type, dtype
        self.waits: Counter[str] = Counter()
        """Where the host waits for the device."""
        self.strays: Counter[str] = Counter()
        """What is computed elsewhere, or in another dtype."""
        self.kernels: Counter[str] = Counter()
        """Calls of each attention kernel."""
        self.reordered = 0
        """Bytes written only to lie in another order."""
        self.held, self.peak = 0, 0
        """Bytes of the device's memory, now and at most."""
        self._inside = False
        self._storages: dict[int, weakref.ref] = {}

    @contextmanager
    def forward(self) -> Iterator[None]:
        """What runs in here should be the device's alone."""
        before, self._inside = self._inside, True
        try:
            with _Attention(self):
                yield
        finally:
            self._inside = before

    def hold(self, *values: Any) -> None:
        """Follow the memory of what is there already (weights, inputs)."""
        for tensor in _tensors(values):
            self._follow(tensor)
        self.peak = self.held

    def is_here(self, *tensors: Tensor) -> bool:
        return any(tensor.device.type == self.device_type for tensor in tensors)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, packet = kwargs or {}, func.overloadpacket
        if any(is_traceable_wrapper_subclass(leaf) for leaf in tree_leaves((args, kwargs))):
            return NotImplemented  # made of other tensors, of which it will ask for what there is to see
        if packet is torch.ops.prim.device:
            return func(*args, **kwargs)
        given = _tensors((args, kwargs))
        if self._inside:
            self._note_wait(packet, given, args, kwargs)
        out = func(*args, **kwargs)
        if packet is aten.convolution and self.is_here(out):
            out = _as_cudnn_gives(out, given[0], given[1])
        made = _tensors(out)
        reordered = _reordered_within(packet, given, made) if self.is_here(*given) else 0
        if self._inside:
            self._note_strays(func, made[:1])
            self.reordered += reordered
            if packet is aten.clone and made[0].stride() != given[0].stride():
                self.reordered += made[0].nbytes
        for tensor in made:
            self._follow(tensor)
        self.peak = max(self.peak, self.held + reordered)
        return out

    def _note_wait(self, packet: Any, given: list[Tensor], args: Any, kwargs: dict[str, Any]) -> None:
        what = None
        if packet in _READS_BACK and self.is_here(*given):
            what = packet.__name__.strip("_")
        elif packet in (aten._to_copy, aten.copy_):
            source = given[-1].device.type
            target = given[0].device.type if packet is aten.copy_ else torch.device(kwargs.get("device") or source).type
            if source != target and self.device_type in (source, target):
                what = f"copy to the {'host' if source == self.device_type else 'device'}"
        elif packet in _INDEXED and self.is_here(given[0]):
            indices = _tensors(args[1])
            if not all(self.is_here(index) for index in indices):
                what = "copy to the device"
            elif any(index.dtype in (torch.bool, torch.uint8) for index in indices):
                what = "nonzero"
        if what:
            self.waits[f"{what}, {_place()}"] += 1

    def _note_strays(self, func: Any, results: list[Tensor]) -> None:
        for result in results:  # the first of each: what norms and attention tell of themselves beside it is float32
            if result.ndim and not self.is_here(result):
                self.strays[f"{func} on {result.device.type}, {_place()}"] += 1
            elif self.dtype is not None and result.is_floating_point() and result.numel() >= LARGE:
                if result.dtype != self.dtype and result.itemsize >= self.dtype.itemsize:  # fp8 products read less
                    self.strays[f"{func} in {str(result.dtype).removeprefix('torch.')}, {_place()}"] += 1

    def _follow(self, tensor: Tensor) -> None:
        """Count the memory under a tensor, once, until the last tensor on it is gone."""
        if not self.is_here(tensor):
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._storages:
            return
        size = -(-storage.nbytes() // BLOCK) * BLOCK
        self.held += size

        def gone(_: Any) -> None:
            self.held -= size
            del self._storages[key]

        self._storages[key] = weakref.ref(storage, gone)


class _Attention(TorchFunctionMode):
    """Gives attention of fake tensors to the kernel it would have on a GPU. Without one PyTorch would choose none."""

    def __init__(self, watch: DeviceWatch) -> None:
        super().__init__()
        self.watch = watch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention or not isinstance(args[0], FakeTensor):
            return func(*args, **kwargs)
        name, out = attend(*args, **kwargs)
        self.watch.kernels[name] += 1
        return out


def _tensors(values: Any) -> list[Tensor]:
    """All there are; of one that is made of others, those."""
    found = []
    for leaf in tree_leaves(values):
        if is_traceable_wrapper_subclass(leaf):
            found += _tensors([getattr(leaf, name) for name in leaf.__tensor_flatten__()[0]])
        elif isinstance(leaf, Tensor):
            found.append(leaf)
    return found


def _as_cudnn_gives(out: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """In the order of cuDNN's result: without a card PyTorch takes it for one that cannot have bf16."""
    last = torch.channels_last in (suggest_memory_format(x), suggest_memory_format(weight))
    order = torch.channels_last if last else torch.contiguous_format
    return out if out.is_contiguous(memory_format=order) else torch.empty_like(out, memory_format=order)


def _reordered_within(packet: Any, given: list[Tensor], made: list[Tensor]) -> int:
    """Bytes that CUDA's kernels copy, and hold while they run, because they need another order.

    Convolutions want maps and weights in the order of their result, LayerNorm and matrix products whole rows. What
    cuDNN and cuBLAS take beside that for themselves is not known.
    """
    if packet is aten.convolution:
        last = made[0].is_contiguous(memory_format=torch.channels_last)
        order = torch.channels_last if last else torch.contiguous_format
        return sum(part.nbytes for part in given[:2] if not part.is_contiguous(memory_format=order))
    if packet is aten.native_layer_norm:
        return 0 if given[0].is_contiguous() else given[0].nbytes
    if packet in (aten.mm, aten.addmm, aten.bmm):
        return sum(part.nbytes for part in given if part.ndim > 1 and 1 not in part.stride()[-2:])
    return 0


def _place() -> str:
    """File and line of the pack, or of a test, that asked for what happens."""
    frame = sys._getframe(1)
    while frame is not None:
        *_, folder, file = frame.f_code.co_filename.replace("\\", "/").rsplit("/", 2)
        if folder in _FOLDERS:
            return f"{folder}/{file}:{frame.f_lineno}"
        frame = frame.f_back
    return "the host"
