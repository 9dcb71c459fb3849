"""Which attention is asked for; cuDNN's needs a card."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from seine_model import attention, device_choices


class Called(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("keys", "dim", "dtype", "by_cudnn"),
    [
        (1024, 40, torch.float16, True),
        (device_choices.MANY_KEYS - 1, 40, torch.float16, False),
        (1024, 44, torch.float16, False),
        (1024, 160, torch.float16, False),
        (1024, 40, torch.float32, False),
    ],
)
def test_cudnn_is_asked_where_it_pays_and_was_found_to_work(monkeypatch, keys, dim, dtype, by_cudnn):
    card = torch.device("cuda", 0)
    monkeypatch.setattr(device_choices, "is_hopper", lambda device: True)
    monkeypatch.setattr(attention, "_is_right", lambda *given: True)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: device_choices.CUDNN)
    monkeypatch.setattr(attention, "_working", {})
    attention.prepare(card, dtype)
    with FakeTensorMode(), torch.no_grad(), Called() as called:
        q, k, v = torch.empty(3, 2, keys, 3 * dim, dtype=dtype, device=card).unbind(0)
        assert attention.takes_cudnn(q, k, 3) == by_cudnn
        if by_cudnn:
            out = attention.scaled_dot_product_attention(q, k, v, 3)
            assert (out.shape, out.dtype, out.device) == (q.shape, dtype, card)
        with torch.enable_grad():
            assert not attention.takes_cudnn(q, k, 3)
    assert ("_scaled_dot_product_cudnn_attention" in called.names) == by_cudnn


def test_pytorch_chooses_where_cudnn_s_is_wrong_or_raises(monkeypatch, caplog):
    monkeypatch.setattr(device_choices, "may_attend_by_cudnn", lambda device, dtype: True)
    cpu = torch.device("cpu")
    for by_cudnn, said in (
        (lambda q, k, v: torch.ones_like(q), "wrong"),
        (lambda q, k, v: 1 / 0, "division"),
    ):
        monkeypatch.setattr(attention, "_working", {})
        monkeypatch.setattr(attention, "by_cudnn", by_cudnn)
        attention.prepare(cpu, torch.bfloat16)
        assert said in caplog.text and attention._working == {("cpu", None, torch.bfloat16): False}
    monkeypatch.setattr(attention, "_working", {})
    monkeypatch.setattr(attention, "by_cudnn", torch.nn.functional.scaled_dot_product_attention)
    state = torch.get_rng_state()
    attention.prepare(cpu, torch.bfloat16)
    assert attention._working == {("cpu", None, torch.bfloat16): True}
    assert torch.equal(state, torch.get_rng_state())  # a first clip draws the noise of any other
