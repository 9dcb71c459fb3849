import pytest
import torch
from torch import nn

from seine_model import device_choices
from seine_model.attention import scaled_dot_product_attention
from seine_model.layers import FeedForward, Upsample, timestep_embedding
from tests import golden_data as golden


@pytest.mark.parametrize("size", [(5, 9), (6, 10), (16, 15)])
def test_upsampling_doubles_and_crops(size):
    layer = Upsample(4, None, None, nn).requires_grad_(False)
    x = torch.randn(2, 4, (size[0] + 1) // 2, (size[1] + 1) // 2)
    doubled = x.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, : size[0], : size[1]]
    assert golden.largest(layer(x, torch.Size(size)), layer.conv(doubled)) < 1e-5


def test_time_embedding_is_cosines_then_sines():
    out = timestep_embedding(torch.tensor([0, 999]), 320)
    assert out.dtype == torch.float32
    assert torch.equal(out[0], torch.cat((torch.ones(160), torch.zeros(160))))
    assert float(out[1, 1]) == pytest.approx(float(torch.tensor(999 * 10000 ** (-1 / 160)).cos()), abs=1e-3)


def test_attention_is_softmax_of_scaled_products():
    q, k, v = torch.randn(3, 2, 5, 12).unbind(0)
    heads = [
        (a @ b.transpose(1, 2) / 2).softmax(-1) @ c
        for a, b, c in zip(q.split(4, -1), k.split(4, -1), v.split(4, -1), strict=True)
    ]
    assert golden.largest(scaled_dot_product_attention(q, k, v, heads=3), torch.cat(heads, -1)) < 1e-5


@pytest.mark.parametrize("limit", [1, 5000])
@pytest.mark.parametrize("gradient", [False, True])
def test_feed_forward_in_pieces_is_the_same(monkeypatch, limit, gradient):
    torch.manual_seed(0)
    network = FeedForward(16, None, None, torch.nn)
    x, residual = torch.randn(2, 6, 20, 16)
    with torch.no_grad():
        whole = residual + network(x)
    sizes = []
    network.net[0].register_forward_hook(lambda module, inputs, output: sizes.append(len(inputs[0])))
    monkeypatch.setattr(device_choices, "INNER_VALUES_ON_CPU", limit)
    given = residual.clone()
    with torch.set_grad_enabled(gradient):
        out = network.onto(x, given)
    torch.testing.assert_close(out.detach(), whole)
    assert sizes == ([1] * 6 if limit == 1 else [2, 2, 2])
    assert torch.equal(given, residual) == gradient  # what a gradient needs is not written over
