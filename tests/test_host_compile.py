"""torch.compile as ComfyUI's TorchCompileModel applies it."""

import pytest


def test_one_graph_with_the_host_s_hooks_and_attention(client, run_in_host):
    if not client.object_info("TorchCompileModel"):
        pytest.skip("this host has no TorchCompileModel yet")
    report = run_in_host("compiling.py")
    assert report["graphs"] == 1
    assert report["difference"] < 1e-4
