"""Linear layers together, as on a card, with a host's weights; what the card's kernels give is in test_kernels."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from seine_model import device_choices, fused, products
from seine_model.lending import lender

OWN = lender(nn)


def host(lend, give_back=lambda *lent: None):
    return lender(SimpleNamespace(lend=lend, give_back=give_back))


@pytest.fixture
def layers(monkeypatch):
    """As if our kernels were ready, for inputs of every size."""
    monkeypatch.setattr(fused, "is_working", lambda device, dtype: True)
    monkeypatch.setattr(device_choices, "LARGE_INPUT", 0)
    torch.manual_seed(0)
    return [nn.Linear(6, 6, bias=False).requires_grad_(False) for _ in range(3)]


@torch.no_grad()
def outs_of(layers, lender=OWN):
    """Each layer's product, and whether they are parts of one tensor."""
    x = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1))
    outs = products.together(layers, x, lender)
    return x, outs, len({out.untyped_storage().data_ptr() for out in outs}) == 1


def test_they_are_one_product(layers):
    x, outs, together = outs_of(layers)
    assert together
    for out, layer in zip(outs, layers, strict=True):
        torch.testing.assert_close(out, layer(x))


def test_a_host_lends_every_weight_to_the_same_place(layers):
    place, given_back = torch.empty(6, 6), []

    def lend(layer, x):
        return place.copy_(2 * layer.weight), None, layer

    _, outs, together = outs_of(layers, host(lend, lambda layer, weight, bias, lent: given_back.append(lent)))
    assert together and given_back == layers[::-1]
    x = outs_of(layers)[0]
    for out, layer in zip(outs, layers, strict=True):
        torch.testing.assert_close(out, 2 * layer(x))


def test_weights_that_stay_are_given_back_after_their_product(layers, monkeypatch):
    class Lent:
        stays = True

    happened, join = [], torch.cat
    monkeypatch.setattr(products.torch, "cat", lambda parts: happened.append([*map(id, parts)]) or join(parts))
    lends = host(lambda layer, x: (layer.weight, None, Lent()), lambda layer, *lent: happened.append(layer))
    _, outs, together = outs_of(layers, lends)
    assert together and happened == [[id(layer.weight) for layer in layers], *layers[::-1]]


def _replaced(layer):
    layer.forward = lambda x: 3 * x


def _hooked(layer):
    layer.register_forward_hook(lambda module, given, out: 3 * out)


def _of_another_dtype(layer):
    layer.weight = nn.Parameter(layer.weight.double(), requires_grad=False)
    layer.register_forward_pre_hook(lambda module, given: given[0].double())


@pytest.mark.parametrize("change", [_replaced, _hooked, _of_another_dtype])
def test_a_layer_that_does_more_is_asked_itself(layers, change):
    change(layers[1])
    x, outs, together = outs_of(layers)
    assert not together
    for out, layer in zip(outs, layers, strict=True):
        torch.testing.assert_close(out, layer(x))


def test_weights_of_another_dtype_are_joined_where_their_layers_only_cast(layers):
    for layer in layers:
        layer.weight = nn.Parameter(layer.weight.double(), requires_grad=False)
        layer.only_casts = True
    x, outs, together = outs_of(layers, host(lambda layer, x: (layer.weight.to(x.dtype), None, None)))
    assert together
    for out, layer in zip(outs, layers, strict=True):
        torch.testing.assert_close(out, nn.functional.linear(x, layer.weight.float()))


def test_small_inputs_and_machines_without_kernels_take_a_product_each(layers, monkeypatch):
    monkeypatch.setattr(device_choices, "LARGE_INPUT", 61)
    assert not outs_of(layers)[2]
    monkeypatch.setattr(device_choices, "LARGE_INPUT", 60)
    assert outs_of(layers)[2]
    monkeypatch.setattr(fused, "is_working", lambda device, dtype: False)
    assert not outs_of(layers)[2]


def test_a_gate_is_multiplied_with_its_product_where_that_is_there(layers, monkeypatch):
    """With the weights as they are lent, a layer of fewer bits by itself; the operators stand in for the kernels."""

    def gate(x):
        value, gates = x.chunk(2, -1)
        return value * nn.functional.gelu(gates)

    taken = []
    monkeypatch.setattr(fused, "gate", gate)
    monkeypatch.setattr(fused, "gated_product", lambda *given: taken.append(1) or gate(nn.functional.linear(*given)))
    layer, x = nn.Linear(6, 10).requires_grad_(False), torch.randn(3, 6)
    lends = host(lambda layer, x: (2 * layer.weight, layer.bias, None))
    torch.testing.assert_close(products.gated(layer, x, lends), gate(layer(x)))
    assert not taken
    monkeypatch.setattr(fused, "multiplies_with_gates", lambda x: True)
    expected = gate(nn.functional.linear(x, 2 * layer.weight, layer.bias))
    torch.testing.assert_close(products.gated(layer, x, lends), expected)
    assert len(taken) == 1
    _replaced(layer)
    torch.testing.assert_close(products.gated(layer, x, lends), gate(3 * x))
    assert len(taken) == 1
