"""Muon for the matrices of a network, AdamW for the rest of it, as one optimizer.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) gives every direction of a matrix's update the
same size. The small UNet gets in half the steps where AdamW gets it.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

LEAST_ROWS = 8
"""Smaller matrices (the output layer, a mask's weights) are vectors rather; AdamW takes them."""


class MuonWithAdamW:
    """Both, with one learning rate: Muon's updates are scaled to the size of AdamW's (Liu et al., arXiv 2502.16982).

    Convolutions count as matrices of one row per output channel. Raises AttributeError for PyTorch before 2.9, which
    has no Muon.
    """

    def __init__(self, weights: Iterable[Tensor], lr: float, betas: tuple[float, float], weight_decay: float) -> None:
        weights = list(weights)
        matrices = [each for each in weights if each.ndim > 1 and min(len(each), each[0].numel()) >= LEAST_ROWS]
        rest = [each for each in weights if not any(each is matrix for matrix in matrices)]
        # Views: what Muon does to them happens to the parameters.
        self._matrices = [(each, _as_matrix(each.detach(), each)) for each in matrices]
        shared = {"lr": lr, "weight_decay": weight_decay}
        self._optimizers: tuple[Optimizer, ...] = (
            torch.optim.Muon([view for _, view in self._matrices], adjust_lr_fn="match_rms_adamw", **shared),
            AdamW(rest, betas=betas, **shared),
        )

    @property
    def param_groups(self) -> list[dict]:
        return [group for optimizer in self._optimizers for group in optimizer.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for weight, _ in self._matrices:
            weight.grad = None
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none)

    def step(self) -> None:
        for weight, view in self._matrices:
            view.grad = None if weight.grad is None else _as_matrix(weight.grad, weight)
        for optimizer in self._optimizers:
            optimizer.step()

    def state_dict(self) -> dict:
        return {str(index): optimizer.state_dict() for index, optimizer in enumerate(self._optimizers)}

    def load_state_dict(self, state: dict) -> None:
        for index, optimizer in enumerate(self._optimizers):
            optimizer.load_state_dict(state[str(index)])


def _as_matrix(tensor: Tensor, weight: Tensor) -> Tensor:
    """[out, everything else], in the order in which the weight is stored, be it channels first or last."""
    order = sorted(range(1, weight.ndim), key=weight.stride, reverse=True)
    return tensor.permute(0, *order).flatten(1)
