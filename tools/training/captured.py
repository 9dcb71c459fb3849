"""A training step's forward and backward pass as one CUDA graph: a small network is faster than its launches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor, nn

from tools.training.batches import Batch

WARM_UP = 3
"""Passes before the capture, in which libraries choose their kernels."""


class CapturedStep:
    """Computes `loss(batch)` and its gradients for batches of one size.

    The gradients are the same tensors at each call and hold what the last call found: never set them to None.
    """

    def __init__(self, loss: Callable[[Batch], Tensor], network: nn.Module, like: Batch) -> None:
        self._batch = Batch(*(getattr(like, each.name).clone() for each in fields(Batch)))
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                network.zero_grad(set_to_none=True)
                loss(self._batch).backward()
        torch.cuda.current_stream().wait_stream(stream)
        network.zero_grad(set_to_none=True)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            found = loss(self._batch)
            found.backward()
        self._loss = found.detach()

    def __call__(self, batch: Batch) -> Tensor:
        """The loss, a tensor of its own."""
        for each in fields(Batch):
            getattr(self._batch, each.name).copy_(getattr(batch, each.name))
        self._graph.replay()
        return self._loss.clone()
