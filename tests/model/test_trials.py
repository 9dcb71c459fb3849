"""Trials of what a card can do: what is remembered of them, and that there is one at a time."""

import errno
import threading
import time

import pytest
import torch

from seine_model import attention, device_choices, fused, kernel_trials, stand_ins
from seine_model.temporal import RotaryEmbedding, TemporalAttention, rotary_frequencies

CARDS = [torch.device("cuda", index) for index in (0, 1)]
KEYS = [("cuda", index, torch.float16) for index in (0, 1)]


@pytest.fixture(params=[fused, attention], ids=["kernels", "cuDNN"])
def tried(request, monkeypatch):
    """Has a trial of the module's do what it is given, once; gives the module, and how that is told it."""
    does = []
    monkeypatch.setattr(device_choices, "has_kernels", lambda device: True)
    monkeypatch.setattr(device_choices, "may_attend_by_cudnn", lambda device, dtype: True)
    monkeypatch.setattr(device_choices, "multiplies_with_gates", lambda device, dtype: True)
    monkeypatch.setattr(kernel_trials, "are_right", lambda *given: does[-1]())
    monkeypatch.setattr(kernel_trials, "frames_attended", lambda device, dtype, most: most)
    monkeypatch.setattr(attention, "_is_right", lambda *given: does[-1]())
    monkeypatch.setattr(request.param, "_working", {})
    monkeypatch.setattr(fused, "_multiplying", {})
    monkeypatch.setattr(fused, "_attending", {})
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
    return request.param, does.append


def raising(error):
    def trial():
        raise error

    return trial


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_the_next_run_tries_again_where_memory_ran_out(tried, error, caplog):
    module, is_to = tried
    is_to(raising(error))
    module.prepare(CARDS[0], torch.float16)
    assert module._working == {} and "the next one tries again" in caplog.text and str(error) in caplog.text
    is_to(lambda: True)
    module.prepare(CARDS[0], torch.float16)
    assert module._working == {KEYS[0]: True}


def test_and_where_somebody_stopped_it(tried):
    module, is_to = tried
    is_to(raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        module.prepare(CARDS[0], torch.float16)
    is_to(lambda: True)
    module.prepare(CARDS[0], torch.float16)
    assert module._working == {KEYS[0]: True}


def test_what_does_not_work_is_not_tried_again(tried, caplog):
    module, is_to = tried
    is_to(raising(AssertionError()))
    module.prepare(CARDS[0], torch.float16)
    assert "PyTorch's are used: AssertionError" in caplog.text
    is_to(lambda: True)
    module.prepare(CARDS[0], torch.float16)
    assert module._working == {KEYS[0]: False}


def test_threads_wait_for_a_trial_and_cards_are_tried_one_after_the_other(tried):
    module, is_to = tried
    now, most, seen = [], [], []

    def trial():
        now.append(1)
        most.append(len(now))
        time.sleep(0.05)
        now.pop()
        return True

    def run(card):
        module.prepare(card, torch.float16)
        seen.append((module._working.get(KEYS[card.index]), fused._multiplying.get(KEYS[card.index])))

    is_to(trial)
    threads = [threading.Thread(target=run, args=(card,)) for card in CARDS * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = 2 if module is fused else 2 * len(attention.TRIED)
    assert most == [1] * times and seen == [(True, True if module is fused else None)] * 4


@pytest.mark.parametrize("fails", ["wrong", "no code", "no memory"])
def test_many_frames_that_do_not_work_leave_the_kernels_to_fewer(monkeypatch, caplog, fails):
    """Other instructions of a card are what is tried last, and the least is lost with."""
    error = {"no code": RuntimeError("PTXASError"), "no memory": torch.OutOfMemoryError("CUDA out of memory")}

    def attend(q, *others):
        if q.shape[1] > 16 and fails in error:
            raise error[fails]
        return stand_ins.attend_over_frames(q, *others) + (q.shape[1] > 16)

    monkeypatch.setattr(device_choices, "has_kernels", lambda device: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (8, 0))
    monkeypatch.setattr(device_choices, "multiplies_with_gates", lambda device, dtype: False)
    monkeypatch.setattr(fused, "_functions", lambda: vars(stand_ins) | {"attend_over_frames": attend})
    monkeypatch.setattr(fused, "_working", {})
    monkeypatch.setattr(fused, "_attending", {})
    cpu = torch.device("cpu")
    fused.prepare(cpu, torch.float16)
    if fails == "no memory":
        assert not fused._working and "the next one tries again" in caplog.text
    else:
        assert fused.is_working(cpu, torch.float16) and fused.most_frames(cpu, torch.float16) == 16
        assert "PyTorch's is used for more than 16" in caplog.text


@pytest.mark.parametrize(
    ("capability", "dtype", "most"),
    [
        ((7, 5), torch.float16, 16),
        ((7, 0), torch.float32, 16),
        ((8, 0), torch.float16, 64),
        ((8, 6), torch.float32, 32),
        ((12, 0), torch.bfloat16, 64),
    ],
)
def test_old_cards_attend_over_a_few_frames_at_once(monkeypatch, capability, dtype, most):
    """Tried over as many as are used, and not over more."""
    attended = {5, 16, most}
    monkeypatch.setattr(device_choices, "has_kernels", lambda device: True)
    monkeypatch.setattr(device_choices, "multiplies_with_gates", lambda device, dtype: False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    monkeypatch.setattr(fused, "_functions", lambda: vars(stand_ins))
    monkeypatch.setattr(fused, "_working", {})
    monkeypatch.setattr(fused, "_attending", {})
    tried = []
    attend = fused.attend_over_frames
    monkeypatch.setattr(fused, "attend_over_frames", lambda q, *others: tried.append(q.shape[1]) or attend(q, *others))
    cpu = torch.device("cpu")
    fused.prepare(cpu, dtype)
    assert fused.is_working(cpu, dtype) and set(tried) == attended

    layer = TemporalAttention(32, 1, RotaryEmbedding()).requires_grad_(False).to(dtype)
    layer.rotary_emb.freqs.data = rotary_frequencies()
    for frames, taken in ((most, True), (most + 1, False)):
        tried.clear()
        positions = layer.rotary_emb.positions(frames, cpu, dtype)
        with torch.no_grad():
            layer(torch.randn(1, 2, frames, 32).to(dtype), positions)
        assert bool(tried) == taken
