"""A kernel that fails after its trial, at a size that was not in it: stand-ins take its place from there on."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from seine_model import attention, device_choices, fused, kernel_trials, stand_ins
from tests import golden_data as golden

KEY = ("cpu", None, torch.float32)
KERNELS = (
    *("attend_over_frames", "normalise", "normalise_rows", "gate", "gated_product"),
    *("add_up", "reorder", "quarters", "interleave"),
)


class Card:
    """The CPU taken for a card on which kernels work, by their stand-ins, until one of them is to fail."""

    def __init__(self):
        self.launched, self.failing, self.error, self.after = [], "", None, 0
        self.kernels = {name: self._kernel(name) for name in KERNELS}

    def fail(self, name, error, after=1):
        self.failing, self.error, self.after = name, error, after

    def _kernel(self, name):
        def launch(*given):
            if name == self.failing and self.launched.count(name) >= self.after:
                raise self.error
            self.launched.append(name)
            return getattr(stand_ins, name)(*given)

        return launch


@pytest.fixture
def card(monkeypatch):
    card = Card()
    monkeypatch.setattr(fused, "_functions", lambda: card.kernels)
    monkeypatch.setattr(fused, "_failed", set())
    monkeypatch.setattr(fused, "_working", {KEY: True})
    monkeypatch.setattr(fused, "_multiplying", {KEY: True})
    monkeypatch.setattr(device_choices, "LARGE_INPUT", 0)
    monkeypatch.setattr(device_choices, "MANY_PIXELS", 0)
    torch._dynamo.reset()
    return card


@pytest.fixture(scope="module")
def example():
    """The network, what it is given, and what it predicts of that by PyTorch's operators."""
    generator = torch.Generator().manual_seed(0)
    case = golden.cases("tiny_a_forward")["f4_15x35"]
    sample = torch.randn(1, case["sample"].shape[1], 4, 16, 16, generator=generator)
    given = sample, case["timestep"][:1], case["encoder_hidden_states"][:1]
    unet = golden.unet("tiny_a")
    with torch.no_grad():
        return unet, given, unet(*given)


@pytest.mark.parametrize("failing", KERNELS)
@torch.no_grad()
def test_a_forward_goes_on_and_the_next_launch_nothing(card, example, caplog, failing):
    unet, given, expected = example
    if failing == "gate":
        fused._multiplying.clear()
    card.fail(failing, RuntimeError("out of resource: shared memory, Required: 262144, Hardware limit: 101376"))
    before = [tensor.clone() for tensor in given]
    assert golden.largest(unet(*given), expected) <= 1e-4
    assert card.launched and fused._working == {KEY: False}
    said = [line for line in caplog.messages if "kernels" in line]
    assert len(said) == 1 and "no more kernels of its own on cpu" in said[0] and "shared memory" in said[0]
    assert all(torch.equal(*pair) for pair in zip(before, given, strict=True))
    card.launched.clear()
    assert golden.largest(unet(*given), expected) <= 1e-5
    assert not card.launched


@torch.no_grad()
def test_a_compiled_forward_goes_on_too(card, example):
    unet, given, expected = example
    card.fail("normalise", OSError(28, "No space left on device"))
    compiled = torch.compile(unet, fullgraph=True, backend="eager")
    for limit in (1e-4, 1e-5):
        assert golden.largest(compiled(*given), expected) <= limit
    launched = len(card.launched)
    assert launched and golden.largest(compiled(*given), expected) <= 1e-5
    assert len(card.launched) == launched


@torch.no_grad()
def test_memory_that_runs_out_is_not_the_kernels_failure(card, example):
    unet, given, expected = example
    card.fail("gated_product", torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        unet(*given)
    assert fused._working == {KEY: True}
    card.fail("", None)
    assert golden.largest(unet(*given), expected) <= 1e-4


def test_a_trial_is_not_helped_out(card, monkeypatch, caplog):
    monkeypatch.setattr(fused, "_working", {})
    monkeypatch.setattr(device_choices, "has_kernels", lambda device: True)
    monkeypatch.setattr(device_choices, "multiplies_with_gates", lambda device, dtype: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
    assert kernel_trials.are_right(torch.device("cpu"), torch.float32) and set(card.launched) == set(KERNELS)
    card.fail("interleave", RuntimeError("PTXASError"), after=0)
    card.launched.clear()
    fused.prepare(torch.device("cpu"), torch.float32)
    assert fused._working == {KEY: False} and "PTXASError" in caplog.text


class Queries(TorchDispatchMode):
    """Raises where cuDNN's attention is asked for."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if "cudnn_attention" in function.name():
            raise RuntimeError("No valid execution plans built.")
        return function(*args, **(kwargs or {}))


@torch.no_grad()
def test_attention_that_cudnn_has_not_is_pytorch_s(monkeypatch, caplog):
    monkeypatch.setattr(attention, "_working", {KEY: True})
    monkeypatch.setattr(device_choices, "MANY_KEYS", 0)
    q, k, v = torch.randn(3, 2, 5, 16).unbind(0)
    expected = torch.nn.functional.scaled_dot_product_attention(
        *(t.view(2, 5, 2, 8).transpose(1, 2) for t in (q, k, v))
    )
    with Queries():
        out = attention.scaled_dot_product_attention(q, k, v, 2)
    torch.testing.assert_close(out, expected.transpose(1, 2).flatten(2))
    assert attention._working == {KEY: False} and "No valid execution plans" in caplog.text
