"""Muon for the matrices of a network, AdamW for the rest of it, as one optimizer.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) gives every direction of a matrix's update the
same size. The small UNet gets in half the steps where AdamW gets it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

LEAST_ROWS = 8
"""Smaller matrices (the output layer, a mask's weights) are vectors rather; AdamW takes them."""
MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the iteration that brings singular values near 1; this and the number of rounds as published."""
ROUNDS = 5


class Muon(Optimizer):
    """Muon with Nesterov's momentum and decoupled weight decay; updates have the size of AdamW's (Liu et al., arXiv
    2502.16982). Takes matrices, and those of one size at once: PyTorch's own goes from one to the next, which on a
    card costs more than all the rest of a small network's step.
    """

    def __init__(self, matrices: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            by_size: dict[torch.Size, list[Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_size.setdefault(matrix.shape, []).append(matrix)
            for size, matrices in by_size.items():
                updates = self._directions(matrices)
                rate = group["lr"] * 0.2 * math.sqrt(max(size))
                torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(matrices, list(updates.to(matrices[0].dtype).unbind()), alpha=-rate)

    def _directions(self, matrices: list[Tensor]) -> Tensor:
        gradients = [matrix.grad for matrix in matrices]
        momenta = []
        for matrix in matrices:
            state = self.state[matrix]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(matrix.grad)
            momenta.append(state["momentum"])
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        return orthogonalised(torch.stack(torch._foreach_lerp(gradients, momenta, MOMENTUM)))


def orthogonalised(matrices: Tensor) -> Tensor:
    """[count, rows, columns] with all singular values brought near 1, bfloat16."""
    a, b, c = NEWTON_SCHULZ
    wide = matrices.shape[-1] >= matrices.shape[-2]
    x = (matrices if wide else matrices.mT).bfloat16()
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.mT


class MuonWithAdamW:
    """Both, with one learning rate. Convolutions count as matrices of one row per output channel."""

    def __init__(self, weights: Iterable[Tensor], lr: float, betas: tuple[float, float], weight_decay: float) -> None:
        weights = list(weights)
        matrices = [each for each in weights if each.ndim > 1 and min(len(each), each[0].numel()) >= LEAST_ROWS]
        rest = [each for each in weights if not any(each is matrix for matrix in matrices)]
        # Views: what Muon does to them happens to the parameters.
        self._matrices = [(each, _as_matrix(each.detach(), each)) for each in matrices]
        shared = {"lr": lr, "weight_decay": weight_decay}
        self._optimizers: tuple[Optimizer, ...] = (
            Muon([view for _, view in self._matrices], **shared),
            AdamW(rest, betas=betas, fused=weights[0].is_cuda, **shared),
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
