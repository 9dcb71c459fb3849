"""Many small launches as one: what a function does on a card, recorded once as a CUDA graph and replayed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 2
"""Calls before the recording, in which libraries choose their kernels and ours are compiled."""


class Replayed:
    """`function(*tensors)`, for tensors of one size, which returns a tensor and waits for nothing.

    forget: called before each call until it is recorded; sets gradients to None, so that the recording begins by
    making them and each replay by overwriting them. They must not be set to None from then on.
    """

    def __init__(self, function: Callable[..., Tensor], forget: Callable[[], None]) -> None:
        self._function, self._forget = function, forget
        self._given: tuple[Tensor, ...] = ()

    def __call__(self, *tensors: Tensor) -> Tensor:
        if not self._given:
            self._record(tensors)
        for place, tensor in zip(self._given, tensors, strict=True):
            place.copy_(tensor)
        self._graph.replay()
        return self._result.clone()

    def _record(self, tensors: tuple[Tensor, ...]) -> None:
        self._given = tuple(tensor.clone() for tensor in tensors)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._forget()
                self._function(*self._given)
        torch.cuda.current_stream().wait_stream(stream)
        self._forget()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._result = self._function(*self._given)
