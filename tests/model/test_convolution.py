import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from seine_model import convolution as module
from seine_model import device_choices
from seine_model.convolution import convolution


@pytest.fixture
def products(monkeypatch):
    """How often a convolution was computed as a product."""
    taken = []
    product = module._as_product
    monkeypatch.setattr(module, "_as_product", lambda *arguments: taken.append(1) or product(*arguments))
    return taken


@pytest.mark.parametrize(
    ("rows", "size", "channels", "kernel", "as_product"),
    [
        (16, (2, 2), 256, 3, True),  # as many pixels as a quarter of the channels
        (13, (1, 5), 256, 3, False),
        (1, (8, 8), 256, 3, True),
        (1, (1, 2), 10, 3, True),
        (2, (1, 3), 10, 3, False),
        (2, (8, 9), 10, 3, False),
        (2, (5, 3), 10, 1, True),
        (16, (8, 9), 10, 1, False),
    ],
)
@pytest.mark.parametrize("stride", [1, 2])
def test_maps_of_every_size_are_convolved_alike(rows, size, channels, kernel, as_product, stride, products):
    stride = stride if kernel == 3 else 1
    padding = kernel // 2
    layer = convolution(nn)(6, channels, kernel, padding=padding, stride=stride).requires_grad_(False)
    x = torch.randn(rows, 6, *size).contiguous(memory_format=torch.channels_last)
    out = layer(x)
    torch.testing.assert_close(out, nn.functional.conv2d(x, layer.weight, layer.bias, stride, padding))
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert bool(products) == as_product


def test_weights_in_another_order_are_not_copied(products):
    layer = convolution(nn)(6, 10, 3, padding=1).to(memory_format=torch.channels_last).requires_grad_(False)
    x = torch.randn(1, 6, 1, 2).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(x), nn.functional.conv2d(x, layer.weight, layer.bias, padding=1))
    assert not products


def test_weights_are_those_the_hosts_class_hands_over(products):
    class Host:
        class Conv2d(nn.Conv2d):
            def forward(self, x):
                return self._conv_forward(x, 2 * self.weight, None)

    layer = convolution(Host)(6, 10, 3, padding=1).requires_grad_(False)
    assert isinstance(layer, Host.Conv2d) and convolution(Host) is type(layer)
    x = torch.randn(1, 6, 1, 2).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(x), nn.functional.conv2d(x, 2 * layer.weight, padding=1))
    assert products


def test_gradients_are_those_of_the_convolution(products):
    layer = convolution(nn)(6, 10, 3, padding=1)
    x = torch.randn(1, 6, 1, 2).contiguous(memory_format=torch.channels_last).requires_grad_()
    found = torch.autograd.grad(layer(x).square().sum(), (x, *layer.parameters()))
    plain = nn.functional.conv2d(x, layer.weight, layer.bias, padding=1).square().sum()
    for ours, expected in zip(found, torch.autograd.grad(plain, (x, *layer.parameters())), strict=True):
        torch.testing.assert_close(ours, expected)
    assert products


def test_weights_are_put_in_order_where_they_lie_apart(monkeypatch):
    """By the kernel, here PyTorch's copy; not where they are in order, as `load_unet` has them on a card."""
    put = []
    monkeypatch.setattr(module.fused, "is_working", lambda device, dtype: True)
    copied = lambda weight: put.append(1) or weight.contiguous(memory_format=torch.channels_last)  # noqa: E731
    monkeypatch.setattr(module.fused, "channels_last", copied)
    layer, x = convolution(nn)(6, 10, 3, padding=1).requires_grad_(False), torch.randn(2, 6, 8, 8)
    with torch.no_grad():
        expected = nn.functional.conv2d(x, layer.weight, layer.bias, padding=1)
        torch.testing.assert_close(layer(x), expected)
        assert len(put) == 1
        torch.testing.assert_close(layer.to(memory_format=torch.channels_last)(x), expected)
    assert len(put) == 1


def test_weights_for_a_card_are_read_in_order():
    with FakeTensorMode():
        for device, ordered in (("cuda", True), ("cpu", False)):
            weight = device_choices.in_order(torch.empty(10, 6, 3, 3, device=device))
            assert weight.is_contiguous(memory_format=torch.channels_last) == ordered
        assert device_choices.in_order(torch.empty(10, 6, device="cuda")).is_contiguous()


def _quarters(weight):
    """Of both sides one after the other: lines (columns) of an even and of an odd one."""
    lines = [weight[:, :, :1], weight[:, :, 1:].sum(2, True), weight[:, :, :2].sum(2, True), weight[:, :, 2:]]
    found = []
    for half in (torch.cat(lines[:2], 2), torch.cat(lines[2:], 2)):
        found.append(torch.cat([half[..., :1], half[..., 1:].sum(3, True)], 3))
        found.append(torch.cat([half[..., :2].sum(3, True), half[..., 2:]], 3))
    return torch.cat(found)


def _interleaved(quarters, bias):
    """The quarter of odd lines begins one line further down, that of odd columns one column."""
    parts = quarters.unflatten(-1, (2, 2, -1))
    rows, height, width, channels = len(quarters), quarters.shape[1] - 1, quarters.shape[2] - 1, len(bias)
    out = torch.empty(rows, 2 * height, 2 * width, channels)
    for line in (0, 1):
        for column in (0, 1):
            part = parts[:, line : line + height, column : column + width, line, column]
            out[:, line::2, column::2] = part + bias
    return out


def test_a_doubled_map_is_convolved_without_being_written(monkeypatch):
    taken = []
    monkeypatch.setattr(module.fused, "quarters", lambda weight: taken.append(1) or _quarters(weight))
    monkeypatch.setattr(module.fused, "interleave", _interleaved)
    monkeypatch.setattr(device_choices, "MANY_PIXELS", 48)
    layer, x = convolution(nn)(6, 10, 3, padding=1).requires_grad_(False), torch.randn(2, 6, 4, 6)
    expected = nn.functional.conv2d(nn.functional.interpolate(x, scale_factor=2.0), layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer.doubled(x), expected)
    monkeypatch.setattr(module.fused, "is_working", lambda device, dtype: True)
    monkeypatch.setattr(module.fused, "channels_last", lambda weight: weight)
    torch.testing.assert_close(layer.doubled(x), expected)  # a gradient is wanted
    with torch.no_grad():
        assert not taken
        out = layer.doubled(x)
        torch.testing.assert_close(out, expected)
        assert len(taken) == 1 and out.is_contiguous(memory_format=torch.channels_last)
        monkeypatch.setattr(device_choices, "MANY_PIXELS", 49)
        torch.testing.assert_close(layer.doubled(x), expected)
    assert len(taken) == 1


@pytest.mark.parametrize("how", ["forward", "hook"])
@torch.no_grad()
def test_what_stands_in_for_it_is_asked_also_where_a_sum_follows(monkeypatch, how):
    """As a host's LoRA that is computed beside the layer; as if kernels were ready, of which none is to be used."""
    monkeypatch.setattr(module.fused, "are_ready", lambda x: True)
    monkeypatch.setattr(module.fused, "add_up_", None)
    layer, x, residual = convolution(nn)(3, 5, 3, padding=1), torch.randn(2, 3, 6, 6), torch.randn(2, 5, 6, 6)
    inner = layer.forward
    expected = 2 * nn.functional.conv2d(x, layer.weight, layer.bias, padding=1)
    if how == "forward":
        layer.forward = lambda x: 2 * inner(x)
    else:
        layer.register_forward_hook(lambda layer, given, out: 2 * out)
    monkeypatch.setattr(module.fused, "channels_last", lambda weight: weight)
    torch.testing.assert_close(layer.onto(x, residual), expected + residual)
    out, added = layer.to_be_added(x, torch.ones(2, 5))
    torch.testing.assert_close(out, expected)
    assert added.eq(1).all()
