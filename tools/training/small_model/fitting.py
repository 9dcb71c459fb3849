"""Fits a small network: AdamW, a learning rate that warms up and decays, a progress bar, and resuming."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tools.training.progress import progress
from tools.training.trainer import save_state

SAVE_EVERY = 250


@dataclass(frozen=True)
class Fit:
    steps: int
    learning_rate: float
    warmup: int
    beta2: float = 0.999
    weight_decay: float = 0.0


def fit(
    name: str, module: nn.Module, loss_of_step: Callable[[int], Tensor], plan: Fit, state_file: Path
) -> list[float]:
    """Train `module` in place by AdamW; loss_of_step(step) computes the loss. Returns the losses of all steps.

    Goes on from `state_file` where there is one, and keeps it up to date.
    """
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=plan.learning_rate, betas=(0.9, plan.beta2), weight_decay=plan.weight_decay
    )
    losses: list[float] = []
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        module.load_state_dict(state["weights"])
        optimizer.load_state_dict(state["optimizer"])
        losses = state["losses"]
    for step in progress(range(len(losses), plan.steps), name, len(losses), plan.steps, lambda: losses[-1:]):
        for group in optimizer.param_groups:
            decay = 0.5 + 0.5 * math.cos(math.pi * step / plan.steps)
            group["lr"] = plan.learning_rate * min(1, (step + 1) / plan.warmup) * decay
        loss = loss_of_step(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if len(losses) % SAVE_EVERY == 0 or len(losses) == plan.steps:
            state = {"weights": module.state_dict(), "optimizer": optimizer.state_dict(), "losses": losses}
            save_state(state, state_file)
    return losses
