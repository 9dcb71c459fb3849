"""Launches that are kept, with a driver under Triton that starts nothing and writes down what it is given."""

import threading
import time
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("triton", reason="PyTorch brings Triton on Linux alone")

from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from seine_model import triton_kernels, triton_launch


class Card:
    """As much of Triton's driver as a launch asks for."""

    def __init__(self):
        self.launches, self.loaded = [], 0
        self.utils = SimpleNamespace(
            load_binary=self._load, get_device_properties=lambda device: {"max_shared_mem": 232448}
        )

    def _load(self, *given):
        self.loaded += 1
        return 1, self.loaded, 0, 0, 1024  # module, function, registers, spills, threads at most

    def launcher_cls(self, source, metadata):
        return lambda *given: self.launches.append(given)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 7

    def get_current_target(self):
        return GPUTarget("cuda", 90, 32)


@pytest.fixture
def card(monkeypatch):
    card = Card()
    monkeypatch.setattr(triton_launch, "_compiled", {})
    driver.set_active(card)
    triton_kernels._gate.device_caches.clear()
    yield card
    triton_kernels._gate.device_caches.clear()
    driver.set_active(None)  # the next to ask gets its own, where there is one


@pytest.fixture
def asked(monkeypatch):
    """How often Triton was asked how a launch is compiled."""
    found, plain = [], triton_kernels._gate.run
    monkeypatch.setattr(
        triton_kernels._gate, "run", lambda *given, **options: found.append(1) or plain(*given, **options)
    )
    return found


def test_a_second_launch_gives_the_card_the_same_without_asking_again(card, asked):
    x = torch.zeros(4, 512, dtype=torch.float16)
    for _ in range(3):
        triton_kernels.gate(x)
    kept = triton_launch.LAUNCHED_WITH_ALL
    assert len(asked) == (1 if kept else 3)
    first, *others = map(_written_down, card.launches)
    assert len(others) == 2 and others == [first, first]


def _written_down(launch):
    """Grid, stream, function and arguments, without Triton's record for whoever listens to launches."""
    return [(tuple(a.shape), a.dtype) if isinstance(a, torch.Tensor) else a for a in (*launch[:6], *launch[7:])]


def test_what_is_compiled_otherwise_is_asked_for(card, asked):
    long = torch.zeros(4 * 512 + 1, dtype=torch.float16)
    triton_kernels.gate(long[:-1].view(4, 512))
    triton_kernels.gate(long[1:].view(4, 512))  # two bytes off: not to be read in sixteens
    triton_kernels.gate(torch.zeros(4, 510, dtype=torch.float16))  # no multiple of sixteen
    triton_kernels.gate(torch.zeros(1, 512, dtype=torch.float16))  # 1 goes into the code
    triton_kernels.gate(torch.zeros(4, 512))
    functions = [given[4] for given in card.launches]
    assert len(asked) == len(set(functions)) == 5


def test_threads_compile_one_after_the_other(card, monkeypatch):
    now, most, plain = [], [], triton_kernels._gate.run

    def run(*given, **options):
        now.append(1)
        most.append(len(now))
        time.sleep(0.05)
        out = plain(*given, **options)
        now.pop()
        return out

    monkeypatch.setattr(triton_kernels._gate, "run", run)
    maps = [torch.zeros(rows, 512, dtype=torch.float16) for rows in (5, 6, 7)]
    threads = [threading.Thread(target=triton_kernels.gate, args=(x,)) for x in maps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1] and len(card.launches) == 3


def test_no_more_are_kept_than_may_be(card, monkeypatch):
    monkeypatch.setattr(triton_launch, "KEPT", 2)
    for rows in (2, 3, 5, 6):
        triton_kernels.gate(torch.zeros(rows, 512, dtype=torch.float16))
        assert len(triton_launch._compiled) <= 2
