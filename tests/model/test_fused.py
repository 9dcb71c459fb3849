"""Our operators, with PyTorch's functions in place of the kernels: who sees an operator, and that all get the same."""

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from seine_model import fused

NAME = f"{fused.NAMESPACE}::gate"


class Names(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen.append(function.name())
        return function(*args, **(kwargs or {}))


def _gate(x):
    value, gates = x.chunk(2, -1)
    return value * F.gelu(gates)


def _add_up(x, residual, bias):
    x += residual + bias


@pytest.fixture
def calls(monkeypatch):
    """Of the function behind the operator."""
    found = []
    monkeypatch.setattr(fused, "_functions", lambda: {"gate": lambda x: found.append(x) or _gate(x), "add_up": _add_up})
    return found


@torch.no_grad()
def test_directly_and_as_an_operator_the_same(calls):
    x, residual, bias = torch.randn(3, 8), torch.randn(3, 8), torch.randn(8)
    with Names() as names:
        seen = fused.gate(x)
    assert NAME in names.seen
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        direct = fused.gate(x)
    assert NAME not in {event.name for event in profile.events()}
    assert len(calls) == 2 and torch.equal(direct, seen) and torch.equal(direct, _gate(x))
    first, second = x.clone(), x.clone()
    fused.add_up_(first, residual, bias)
    with Names():
        fused.add_up_(second, residual, bias)
    assert torch.equal(first, second) and torch.equal(first, x + (residual + bias))


@torch.no_grad()
def test_made_up_tensors_and_compilers_see_the_operator(calls):
    with FakeTensorMode() as mode:
        made_up = mode.from_tensor(torch.randn(3, 8))
    assert fused.gate(made_up).shape == (3, 4) and not calls
    graphs = []
    torch._dynamo.reset()
    compiled = torch.compile(fused.gate, backend=lambda graph, given: graphs.append(graph) or graph, fullgraph=True)
    x = torch.randn(3, 8)
    assert torch.equal(compiled(x), _gate(x)) and len(calls) == 1
    (graph,) = graphs
    assert any(NAME.split("::")[0] in str(node.target) for node in graph.graph.nodes)
