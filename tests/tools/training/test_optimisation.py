"""Muon and AdamW as one optimizer."""

import pytest
import torch
from torch import nn

from tools.training.optimisation import MuonWithAdamW


def network(memory_format=torch.contiguous_format):
    torch.manual_seed(0)
    layers = nn.Conv2d(8, 16, 3), nn.Conv2d(16, 16, 1), nn.GroupNorm(4, 16), nn.Flatten(), nn.Linear(16 * 9, 12)
    return nn.Sequential(*layers, nn.Linear(12, 2)).to(memory_format=memory_format)


def optimizer(module, **changes):
    values = {"lr": 1e-2, "betas": (0.9, 0.99), "weight_decay": 0.01}
    return MuonWithAdamW(module.parameters(), **values | changes)


def step(module, optimizer, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(4, 8, 5, 5, generator=generator)
    optimizer.zero_grad()
    loss = (module(inputs) - inputs.mean((1, 2, 3))[:, None]).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def test_every_parameter_is_trained_and_the_loss_falls():
    module = network()
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    making = optimizer(module)
    losses = [step(module, making) for _ in range(40)]
    assert all(not torch.equal(before[name], value) for name, value in module.named_parameters())
    assert losses[-1] < losses[0] / 20


def test_updates_of_matrices_point_in_all_directions_alike():
    module = network()
    weight = module[0].weight
    before = weight.detach().clone()
    step(module, optimizer(module, weight_decay=0.0))
    update = (weight.detach() - before).flatten(1)
    sizes = torch.linalg.svdvals(update)
    assert sizes.max() / sizes.min() < 3
    gradient = torch.linalg.svdvals(weight.grad.flatten(1))
    assert gradient.max() / gradient.min() > 10
    # As large as AdamW's, whose first update is the learning rate; 0.2 of it by the paper's choice.
    assert update.square().mean().sqrt() == pytest.approx(0.2e-2, rel=0.3)


def test_few_rows_are_left_to_adamw():
    module = network()
    last = module[-1].weight
    before = last.detach().clone()
    step(module, optimizer(module, weight_decay=0.0))
    assert (last.detach() - before).abs().flatten().tolist() == pytest.approx([1e-2] * last.numel(), rel=1e-2)


def test_channels_last_weights_learn_the_same():
    modules = [network(form) for form in (torch.contiguous_format, torch.channels_last)]
    for module in modules:
        making = optimizer(module)
        for seed in range(3):
            step(module, making, seed)
    for (name, a), b in zip(modules[0].named_parameters(), modules[1].parameters(), strict=True):
        # Muon computes in bfloat16, and rounds another order of columns differently.
        torch.testing.assert_close(a, b, rtol=0, atol=2e-3, msg=lambda text, name=name: f"{name}: {text}")


def test_a_saved_state_goes_on_as_if_nothing_had_happened():
    straight, stopped = network(), network()
    first = optimizer(straight)
    for seed in range(4):
        step(straight, first, seed)
    second = optimizer(stopped)
    for seed in range(2):
        step(stopped, second, seed)
    state = second.state_dict()
    third = optimizer(stopped, lr=1.0)
    third.load_state_dict(state)
    for seed in (2, 3):
        step(stopped, third, seed)
    for a, b in zip(straight.parameters(), stopped.parameters(), strict=True):
        assert torch.equal(a, b)
