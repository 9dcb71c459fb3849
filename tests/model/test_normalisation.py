import pytest
import torch
from torch import nn

from seine_model import normalisation as module
from seine_model.normalisation import group_norm, norm_all_frames, normalised
from tests import golden_data as golden


def test_statistics_run_over_all_frames_of_one_video():
    frames = torch.randn(6, 8, 3, 5) + torch.arange(6).view(6, 1, 1, 1)  # two videos of three frames
    norm = group_norm(nn)(2, 8).requires_grad_(False)
    video = frames.unflatten(0, (2, 3)).transpose(1, 2)
    expected = nn.functional.group_norm(video, 2).transpose(1, 2).flatten(0, 1)
    for layout in (torch.contiguous_format, torch.channels_last):
        out = norm(frames.contiguous(memory_format=layout), frames=3)
        assert golden.largest(out, expected) < 1e-5
    assert golden.largest(norm(frames), expected) > 0.1


def maps(spread: float = 1.0) -> torch.Tensor:
    """Two videos of three frames, 32 channels whose means lie apart, channels-last."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 32, 5, 7, generator=generator) * spread + 3 * torch.randn(1, 32, 1, 1, generator=generator)
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_as_it_lies_it_is_the_same(frames, layout):
    x, weight, bias = maps().contiguous(memory_format=layout), torch.randn(32), torch.randn(32)
    out = normalised(x, frames, 8, weight, bias, 1e-5)
    expected = norm_all_frames(lambda stacked: nn.functional.group_norm(stacked, 8, weight, bias, 1e-5), x, frames)
    assert golden.largest(out, expected) < 1e-5
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("dtype", "digits"), [(torch.float16, 11), (torch.bfloat16, 8)])
@pytest.mark.parametrize("spread", [1e-2, 1.0, 1e3])
def test_half_precision_is_as_exact_as_its_inputs(dtype, digits, spread):
    x, weight, bias = maps(spread).to(dtype), torch.ones(32, dtype=dtype), torch.zeros(32, dtype=dtype)
    out = normalised(x, 3, 8, weight, bias, 1e-5)
    expected = norm_all_frames(lambda stacked: nn.functional.group_norm(stacked, 8, eps=1e-5), x.double(), 3)
    assert out.dtype == dtype and torch.isfinite(out).all()
    assert float((out.double() - expected).abs().max()) < 2.0 ** (2 - digits)


def test_the_weights_are_asked_for_and_given_back(monkeypatch):
    taken = []

    class Host:
        GroupNorm = nn.GroupNorm
        lend = staticmethod(lambda layer, x: (2 * layer.weight, layer.bias, "lent"))
        give_back = staticmethod(lambda layer, weight, bias, lent: taken.append(lent))

    monkeypatch.setattr(module, "normalises_as_it_lies", lambda x: True)
    layer = group_norm(Host)(8, 32).requires_grad_(False)
    expected = nn.functional.group_norm(maps(), 8, 2 * layer.weight)
    assert golden.largest(layer(maps()), expected) < 1e-5
    assert taken == ["lent"]


def test_it_compiles_as_one_graph():
    compiled = torch.compile(normalised, backend="eager", fullgraph=True)
    inputs = (maps().half(), 3, 8, torch.ones(32).half(), torch.zeros(32).half(), 1e-5)
    assert torch.equal(compiled(*inputs), normalised(*inputs))
