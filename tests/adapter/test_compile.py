"""torch.compile as ComfyUI's TorchCompileModel applies it."""

import pytest


@pytest.fixture(scope="session")
def report(run_in_host):
    return run_in_host("compiling.py")


def test_one_graph_with_the_host_s_hooks_and_attention(report):
    assert report["graphs"] == 1
    assert report["difference"] < 1e-4


def test_kernels_are_tried_and_used_without_a_forward_before_that_was_not_compiled(report):
    found = report["kernels"]
    assert found["cuDNN's tried"] and found["graphs"] == 1 and found["difference"] < 1e-4
    trial = {name: found["launched"][name] - number for name, number in found["launched uncompiled"].items()}
    assert len(found["launched uncompiled"]) > 5 and min(trial.values()) > 0, "in the trial, and as often in steps"
